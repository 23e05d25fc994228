import { read, update, vectorOf } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";

/** How the heads lie in a row of the fused projection: query heads, key heads, value heads. */
export interface HeadLayout {
  /** Heads of queries. */
  readonly heads: number;
  /** Heads of keys and as many of values; each serves `heads / keyValueHeads` heads of queries. */
  readonly keyValueHeads: number;
  /** Width of a head. */
  readonly headDim: number;
}

/** Width of a row of queries, keys and values. */
export function fusedWidth({ heads, keyValueHeads, headDim }: HeadLayout): number {
  return (heads + 2 * keyValueHeads) * headDim;
}

/**
 * Rotary position embedding of the queries and keys of a fused projection, in place (Su et al.,
 * arXiv 2104.09864, in Hugging Face's layout: element d is paired with d + headDim / 2).
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16, overwritten
 * @param positions [tokens] u32
 * @param table [positions, 2, headDim / 2] f32, of `ropeTable`
 */
export function rope(qkv: Tensor, positions: Tensor, table: Tensor, layout: HeadLayout): Tensor {
  const graph = qkv.graph;
  const rotated = graph.overwritten(qkv);
  rotate(graph, qkv, positions, table, layout, 1);
  graph.onBackward(rotated, (gradient) => {
    // The transpose of a rotation is its inverse: the gradient is rotated back, in place too.
    rotate(graph, gradient, positions, table, layout, -1);
    graph.passGradient(gradient, qkv);
  });
  return rotated;
}

function rotate(
  graph: Graph,
  x: Tensor,
  positions: Tensor,
  table: Tensor,
  layout: HeadLayout,
  direction: 1 | -1,
): void {
  const half = layout.headDim / 2;
  const vector = vectorOf(half);
  const pairs = half / vector;
  const rotatedHeads = layout.heads + layout.keyValueHeads;
  graph.elementwise(
    direction === 1 ? "rope" : "rope dX",
    positions.size * rotatedHeads * pairs,
    { x: update(x, vector), positions: read(positions), table: read(table, vector) },
    `let pair = i % ${pairs}u;
    let head = (i / ${pairs}u) % ${rotatedHeads}u;
    let token = i / ${pairs * rotatedHeads}u;
    let low = token * ${fusedWidth(layout) / vector}u + head * ${2 * pairs}u + pair;
    let high = low + ${pairs}u;
    let turn = positions[token] * ${2 * pairs}u + pair;
    let cosine = table[turn];
    let sine = ${direction}f * table[turn + ${pairs}u];
    let before_low = number(x[low]);
    let before_high = number(x[high]);
    x[low] = x_type(before_low * cosine - before_high * sine);
    x[high] = x_type(before_high * cosine + before_low * sine);`,
    vector,
  );
}

/**
 * Cosines and then sines of every angle, [positions, 2, headDim / 2], for {@linkcode rope}. They are
 * computed on the host, as WGSL's sine is only exact to 2^-11 on large angles. Angles are rounded to
 * f32 where Hugging Face rounds them.
 *
 * @param positions number of positions, from 0
 * @param headDim width of a head
 * @param theta base of the frequencies: the pair d turns by theta^(-2d / headDim) a position
 */
export function ropeTable(
  positions: number,
  headDim: number,
  theta: number,
): Float32Array<ArrayBuffer> {
  const half = headDim / 2;
  const table = new Float32Array(positions * headDim);
  for (let pair = 0; pair < half; pair++) {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround(2 * pair / headDim)));
    for (let position = 0; position < positions; position++) {
      const angle = Math.fround(position * frequency);
      table[2 * position * half + pair] = Math.cos(angle);
      table[(2 * position + 1) * half + pair] = Math.sin(angle);
    }
  }
  return table;
}
