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
 * arXiv 2104.09864, in Hugging Face's layout: element d is paired with d + rotated / 2, where rotated
 * is how many of a head's first numbers the table is for; the others pass as they are).
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16, overwritten
 * @param positions [tokens] u32
 * @param table [positions, 2, rotated / 2] f32, of `ropeTable`
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
  const half = table.shape[2];
  // Heads begin at whole vectors too.
  const vector = Math.min(vectorOf(half), vectorOf(layout.headDim)) as 1 | 4;
  const pairs = half / vector;
  const rotatedHeads = layout.heads + layout.keyValueHeads;
  graph.elementwise(
    direction === 1 ? "rope" : "rope dX",
    positions.size * rotatedHeads * pairs,
    { x: update(x, vector), positions: read(positions), table: read(table, vector) },
    `let pair = i % ${pairs}u;
    let head = (i / ${pairs}u) % ${rotatedHeads}u;
    let token = i / ${pairs * rotatedHeads}u;
    let low = token * ${fusedWidth(layout) / vector}u + head * ${layout.headDim / vector}u + pair;
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
 * Cosines and then sines of every angle, [positions, 2, frequencies], for {@linkcode rope}. They are
 * computed on the host, as WGSL's sine is only exact to 2^-11 on large angles. Angles are rounded to
 * f32 where Hugging Face rounds them.
 *
 * @param positions number of positions, from 0
 * @param frequencies by how much each pair turns a position, such as {@linkcode ropeFrequencies}
 */
export function ropeTable(
  positions: number,
  frequencies: Float32Array,
): Float32Array<ArrayBuffer> {
  const half = frequencies.length;
  const table = new Float32Array(2 * positions * half);
  frequencies.forEach((frequency, pair) => {
    for (let position = 0; position < positions; position++) {
      const angle = Math.fround(position * frequency);
      table[2 * position * half + pair] = Math.cos(angle);
      table[(2 * position + 1) * half + pair] = Math.sin(angle);
    }
  });
  return table;
}

/**
 * The frequencies of plain rope: the pair d turns by theta^(-2d / rotated) a position.
 *
 * @param rotated how many numbers of a head are turned: all of them, unless rope is partial
 * @param theta base of the frequencies
 * @returns [rotated / 2]
 */
export function ropeFrequencies(rotated: number, theta: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: rotated / 2 },
    (_, pair) => 1 / Math.fround(theta ** Math.fround(2 * pair / rotated)),
  );
}
