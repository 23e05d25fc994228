import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { fusedWidth, type HeadLayout } from "../layers/rope.ts";
import { unrolledLoop } from "../wgsl/unrolled-loop.ts";

/**
 * Stores the keys and values of new rows in a cache.
 *
 * @param qkv [rows, (heads + 2 · keyValueHeads) · headDim] f32 or f16, rope applied
 * @param cache [sequences, capacity, 2 · keyValueHeads · headDim] f32
 * @param sequence [rows] u32: which sequence a row belongs to; rows beyond the cache are left out
 * @param positions [rows] u32: its place there, below the capacity
 */
export function storeInCache(
  qkv: Tensor,
  cache: Tensor,
  sequence: Tensor,
  positions: Tensor,
  layout: HeadLayout,
): void {
  const [sequences, capacity, width] = cache.shape;
  const rowWidth = fusedWidth(layout);
  qkv.graph.elementwise(
    "store in cache",
    positions.size * width,
    {
      qkv: read(qkv),
      sequence: read(sequence),
      positions: read(positions),
      cache: update(cache),
    },
    `let row = i / ${width}u;
    if (sequence[row] < ${sequences}u) {
      let at = (sequence[row] * ${capacity}u + positions[row]) * ${width}u + i % ${width}u;
      cache[at] = cache_type(qkv[row * ${rowWidth}u + ${rowWidth - width}u + i % ${width}u]);
    }`,
  );
}

/**
 * Attention of new rows, each of another sequence, to the rows of their sequences in the cache,
 * themselves included.
 *
 * @param qkv [rows, (heads + 2 · keyValueHeads) · headDim] f32 or f16, rope applied, already stored
 * @param cache [sequences, capacity, 2 · keyValueHeads · headDim] f32
 * @param sequence [rows] u32: which sequence a row belongs to; a row beyond the cache gets numbers
 *   without meaning
 * @param positions [rows] u32: the row's place there; places up to that one are attended to
 * @param window how many of these, the last ones; all of them when left out
 * @returns [rows, heads · headDim]
 */
export function attendToCache(
  qkv: Tensor,
  cache: Tensor,
  sequence: Tensor,
  positions: Tensor,
  layout: HeadLayout,
  window?: number,
): Tensor {
  const graph = qkv.graph;
  const { heads, keyValueHeads, headDim } = layout;
  const [sequences, capacity, width] = cache.shape;
  const firstPlace = window === undefined ? "0u" : `max(length, ${window}u) - ${window}u`;
  const rows = positions.size;
  const y = graph.tensor("cached attention", [rows, heads * headDim], qkv.dtype);
  const lanes = graph.capabilities.cpu ? 8 : 128;
  const vector = vectorOf(headDim);
  const columns = headDim / vector;
  const parts = Math.ceil(columns / lanes);
  const side = Math.min(columns, lanes); // lanes that hold a row's columns side by side
  const slices = Math.floor(lanes / side);
  const values = { first: "slice", end: "count", step: slices };
  const product = vector === 1
    ? "number(qkv[query + c]) * number(cache[key + c])"
    : "dot(number(qkv[query + c]), number(cache[key + c]))";
  graph.dispatch(
    "cached attention",
    {
      qkv: read(qkv, vector),
      cache: read(cache, vector),
      sequence: read(sequence),
      positions: read(positions),
      y: write(y, vector),
    },
    `
alias number = ${numberType(vector)};
var<workgroup> weights: array<f32, ${lanes}>;
var<workgroup> gathered: array<number, ${lanes}>;

// The lanes score ${lanes} keys at a time; then each gathers its columns of every ${slices}th value.
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.x;
  let head = group.y;
  let start = min(sequence[row], ${sequences - 1}u) * ${capacity}u;
  let key_head = head / ${heads / keyValueHeads}u;
  let query = row * ${fusedWidth(layout) / vector}u + head * ${columns}u;
  let length = positions[row] + 1u;
  let slice = lane / ${side}u;
  let own = lane % ${side}u;
  var sums: array<number, ${parts}>;
  var highest = -1e30f;
  var total = 0f;
  for (var base = ${firstPlace}; base < length; base += ${lanes}u) {
    let place = base + lane;
    var score = -1e30f;
    if (place < length) {
      let key = (start + place) * ${width / vector}u + key_head * ${columns}u;
      score = 0f;
      for (var c = 0u; c < ${columns}u; c++) { score += ${product}; }
      score *= ${1 / Math.sqrt(headDim)}f;
    }
    workgroupBarrier();
    weights[lane] = score;
    workgroupBarrier();
    var higher = highest;
    for (var i = 0u; i < ${lanes}u; i++) { higher = max(higher, weights[i]); }
    workgroupBarrier();
    weights[lane] = exp(score - higher);
    workgroupBarrier();
    let keep = exp(highest - higher);
    total *= keep;
    let count = min(${lanes}u, length - base);
    for (var i = 0u; i < count; i++) { total += weights[i]; }
    for (var part = 0u; part < ${parts}u; part++) {
      let column = part * ${lanes}u + own;
      var sum = sums[part] * keep;
      if (column < ${columns}u && slice < ${slices}u) {
        let first = (start + base) * ${width / vector}u +
          (${keyValueHeads}u + key_head) * ${columns}u + column;
        ${
      unrolledLoop(
        graph.capabilities,
        "i",
        values,
        `sum += weights[i] * number(cache[first + i * ${width / vector}u]);`,
      )
    }
      }
      sums[part] = sum;
    }
    highest = higher;
  }
  for (var part = 0u; part < ${parts}u; part++) {
    let column = part * ${lanes}u + own;
    workgroupBarrier();
    gathered[lane] = sums[part];
    workgroupBarrier();
    if (column < ${columns}u && slice == 0u) {
      var sum = number();
      for (var i = own; i < ${slices * side}u; i += ${side}u) { sum += gathered[i]; }
      y[row * ${heads * columns}u + head * ${columns}u + column] = y_type(sum / total);
    }
  }
}`,
    [rows, heads],
  );
  return y;
}
