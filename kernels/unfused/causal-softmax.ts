import type { Sequences } from "../layers/sequences.ts";
import { numberType, read, type Vector, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";
import { bound, set } from "./gradient.ts";

/** Blocks of rows that attend inside themselves, of which the scores fit into one binding. */
export interface AttentionBlocks {
  /** The first block. */
  readonly first: number;
  /** How many. */
  readonly count: number;
  /** Rows of each. */
  readonly rows: number;
}

/**
 * Softmax of each row of whole score matrices over what the row may see; zero elsewhere.
 *
 * @param scores [blocks · heads, rows, rows] f32 or f16
 * @returns of the same shape and type
 */
export function causalSoftmax(
  scores: Tensor,
  { starts }: Sequences,
  blocks: AttentionBlocks,
  heads: number,
): Tensor {
  const { graph, shape: [matrices, rows] } = scores;
  const vector = vectorOf(rows);
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const workgroups = [rows, matrices] as const;
  const y = graph.tensor("attention weights", scores.shape, scores.dtype);
  graph.dispatch(
    "causal softmax",
    { scores: read(scores, vector), starts: read(starts), y: write(y, vector) },
    `${rowOf(blocks, heads, vector, lanes)}
  var highest = -1e30f;
  for (var at = first + lane; at <= last; at += ${lanes}u) {
    let value = select(number(-1e30f), number(scores[line + at]), is_seen(at, start, row));
    highest = max(highest, ${
      vector === 1 ? "value" : "max(max(value.x, value.y), max(value.z, value.w))"
    });
  }
  partial[lane] = highest;
  workgroupBarrier();
  for (var i = 0u; i < ${lanes}u; i++) { highest = max(highest, partial[i]); }
  workgroupBarrier();
  var sum = 0f;
  for (var at = first + lane; at <= last; at += ${lanes}u) {
    let weight = exp(number(scores[line + at]) - highest);
    sum += ${total("select(number(), weight, is_seen(at, start, row))", vector)};
  }
  partial[lane] = sum;
  ${foldPartials(["partial"], lanes)}
  sum = partial[0];
  for (var at = lane; at < ${rows / vector}u; at += ${lanes}u) {
    let weight = exp(number(scores[line + at]) - highest) / sum;
    y[line + at] = y_type(select(number(), weight, is_seen(at, start, row)));
  }
}`,
    workgroups,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(scores);
    if (!dx) return;
    graph.dispatch(
      "causal softmax dX",
      { y: read(y, vector), dy: read(dy, vector), starts: read(starts), dx: bound(dx, vector) },
      `${rowOf(blocks, heads, vector, lanes)}
  var slope = 0f;
  for (var at = first + lane; at <= last; at += ${lanes}u) {
    slope += ${total("number(y[line + at]) * number(dy[line + at])", vector)};
  }
  partial[lane] = slope;
  ${foldPartials(["partial"], lanes)}
  slope = partial[0];
  for (var at = lane; at < ${rows / vector}u; at += ${lanes}u) {
    // Where the weight is 0, this is too.
    dx[line + at] ${set(dx)} dx_type(number(y[line + at]) * (number(dy[line + at]) - slope));
  }
}`,
      workgroups,
    );
  });
  return y;
}

/**
 * The start of a kernel that has a workgroup for each row of each matrix: the row in its block, the
 * first column that it sees, the vectors from `first` to `last` which hold those, and where the row
 * lies.
 */
function rowOf(
  { first, rows }: AttentionBlocks,
  heads: number,
  vector: Vector,
  lanes: number,
): string {
  const seen = vector === 1
    ? "at >= start && at <= row"
    : "(4u * at + vec4u(0u, 1u, 2u, 3u) >= vec4u(start)) & " +
      "(4u * at + vec4u(0u, 1u, 2u, 3u) <= vec4u(row))";
  return `
alias number = ${numberType(vector)};
var<workgroup> partial: array<f32, ${lanes}>;

fn is_seen(at: u32, start: u32, row: u32) -> ${vector === 1 ? "bool" : "vec4<bool>"} {
  return ${seen};
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.x;
  let block = (${first}u + group.y / ${heads}u) * ${rows}u;
  let start = starts[block + row] - block;
  let first = start / ${vector}u;
  let last = row / ${vector}u;
  let line = (group.y * ${rows}u + row) * ${rows / vector}u;`;
}
