import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { IGNORED } from "./head.ts";
import { NO_SEQUENCE, type Sequences } from "../layers/sequences.ts";

/**
 * Sums the log-probabilities of each sequence's labels, in an order that does not depend on where
 * the sequence lies in the batch.
 *
 * @param logProbs [tokens] f32
 * @param labels [tokens] u32, or IGNORED
 * @returns [sequences, 2] f32: Σ of the log-probabilities, and the number of labels
 */
export function sequenceLogProbs(
  logProbs: Tensor,
  labels: Tensor,
  sequences: Sequences,
): Tensor {
  const graph = logProbs.graph;
  const sums = graph.tensor("sequence log-probabilities", [sequences.count, 2]);
  const lanes = graph.capabilities.cpu ? 8 : 64;
  graph.dispatch(
    "sequence log-probabilities",
    {
      log_probs: read(logProbs),
      labels: read(labels),
      bounds: read(sequences.bounds, 2),
      sums: write(sums, 2),
    },
    `
var<workgroup> partial: array<vec2f, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let limits = bounds[group.x];
  var sum = vec2f();
  for (var row = limits.x + lane; row < limits.y; row += ${lanes}u) {
    if (labels[row] != ${IGNORED}u) { sum += vec2f(log_probs[row], 1f); }
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    sum = vec2f();
    for (var i = 0u; i < ${lanes}u; i++) { sum += partial[i]; }
    sums[group.x] = sum;
  }
}`,
    [sequences.count],
  );
  return sums;
}

/**
 * Gives every row the number of its sequence, as a weight of its label.
 *
 * @param numbers [sequences] f32
 * @returns [tokens] f32, 0 for padding
 */
export function spreadOverRows(numbers: Tensor, sequences: Sequences): Tensor {
  const graph = numbers.graph;
  const rows = graph.tensor("row weights", [sequences.index.size]);
  graph.elementwise(
    "spread over rows",
    rows.size,
    { numbers: read(numbers), index: read(sequences.index), rows: write(rows) },
    `let sequence = index[i];
    rows[i] = select(numbers[min(sequence, ${
      sequences.count - 1
    }u)], 0f, sequence == ${NO_SEQUENCE}u);`,
  );
  return rows;
}
