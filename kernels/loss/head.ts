import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { bytesOf } from "../runtime/storage.ts";
import { matmul } from "../matmul/matmul.ts";
import { fitsTensorCores, tensorCoreProduct } from "../matmul/tensor-cores/matmul.ts";
import type { MatrixOperands } from "../matmul/product.ts";
import { addColumnSums } from "../wgsl/column-sums.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";
import {
  clearOthers,
  columnMarks,
  listColumns,
  markLabel,
  markLikely,
  moveToFront,
  settable,
} from "./kept-columns.ts";

/** Label of a row that takes no part in the loss. */
export const IGNORED = 0xffffffff;

/** The most bytes of logits that exist at a time: 4,096 rows of Steel-LLM's vocabulary in f16. */
const LOGITS_BYTES = 1280 * 1024 * 1024;
/** Rows of a chunk come in multiples of this, so that every slice starts on a 256-byte border. */
const ROW_UNIT = 128;

/**
 * How the gradient of the hidden states is computed: from the whole gradient of the logits, or from
 * the columns that matter (see `LEFT_OUT`). The gradients of the parameters are always whole: rare
 * tokens learn from small gradients.
 */
export type HeadGradient = "whole" | "filtered";

/** The parameters of a head. */
export interface HeadWeights {
  /** [vocabulary, width] f32, with a copy in f16 where hidden states are f16. */
  readonly weight: Tensor;
  /** [vocabulary] f32. */
  readonly bias?: Tensor;
}

/**
 * The last linear layer and its cross-entropy as one operator, in chunks of rows, so that not all
 * logits exist at a time.
 *
 * With `lossWeights` it also computes the gradients of Σ over rows of weight · (−log-probability) by
 * `hidden` and the parameters: as the weights are known beforehand, the gradient of each chunk's
 * logits replaces them at once and is multiplied with `weight` and `hidden`.
 *
 * @param hidden [tokens, width] f32 or f16
 * @param labels [tokens] u32: the token that should follow, or IGNORED
 * @param lossWeights [tokens] f32
 * @param gradient of `hidden`
 * @returns log-probability of each label, [tokens]; 0 where ignored
 */
export function head(
  hidden: Tensor,
  { weight, bias }: HeadWeights,
  labels: Tensor,
  lossWeights?: Tensor,
  gradient: HeadGradient = "whole",
): Tensor {
  const graph = hidden.graph;
  const [tokens, width] = hidden.shape;
  const [vocabulary] = weight.shape;
  const logProbs = graph.tensor("log-probabilities", [tokens]);
  const dhidden = lossWeights && graph.gradientTarget(hidden);
  const dweight = lossWeights && graph.gradientTarget(weight);
  const dbias = lossWeights && bias && graph.gradientTarget(bias);
  const operand = hidden.dtype === "f16" ? weight.half ?? weight : weight;
  const budget = Math.min(LOGITS_BYTES, graph.capabilities.maxBindingBytes);
  const fitting = Math.floor(budget / (bytesOf[hidden.dtype] * vocabulary) / ROW_UNIT) * ROW_UNIT;
  const chunks = Math.ceil(tokens / Math.max(ROW_UNIT, fitting));
  const chunk = Math.ceil(tokens / chunks / ROW_UNIT) * ROW_UNIT;

  for (let first = 0; first < tokens; first += chunk) {
    const rows = Math.min(chunk, tokens - first);
    const hiddenRows = { first: first * width, count: rows * width };
    const logits = graph.tensor("logits", [rows, vocabulary], hidden.dtype);
    const common = { batch: 1, bias: false } as const;
    matmul(
      graph,
      "head",
      {
        ...common,
        layout: "nt",
        m: rows,
        n: vocabulary,
        k: width,
        accumulate: false,
        bias: bias !== undefined,
      },
      { a: hidden, sliceA: hiddenRows, b: operand, c: logits, bias },
    );
    const marks = dhidden && gradient === "filtered"
      ? columnMarks(graph, rows, vocabulary)
      : undefined;
    crossEntropy(logits, labels, logProbs, { first, count: rows }, lossWeights, marks);
    if (dweight) {
      matmul(
        graph,
        "head dW",
        { ...common, layout: "tn", m: vocabulary, n: width, k: rows, accumulate: true },
        { a: logits, b: hidden, sliceB: hiddenRows, c: dweight.tensor },
      );
    }
    if (dbias) addColumnSums(logits, dbias.tensor);
    if (dhidden) {
      // Last, as it may overwrite the gradient of the logits.
      const operands = { a: logits, b: operand, c: dhidden.tensor, sliceC: hiddenRows };
      hiddenGradient(operands, dhidden.accumulate, marks);
    }
  }
  return logProbs;
}

/**
 * Records the product of the logits' gradient `a` [rows, vocabulary] with the weight `b`.
 *
 * @param marks the columns of `a` to keep; all when left out
 */
function hiddenGradient(operands: MatrixOperands, accumulate: boolean, marks?: Tensor): void {
  const { a, b } = operands;
  const graph = a.graph;
  const [rows, vocabulary] = a.shape;
  const [, width] = b.shape;
  const product = {
    ...{ layout: "nn", batch: 1, m: rows, n: width, k: vocabulary } as const,
    ...{ accumulate, bias: false },
  };
  if (marks && fitsTensorCores(graph, product, operands)) {
    const lists = listColumns(graph, marks, vocabulary);
    moveToFront(a, lists);
    return tensorCoreProduct(graph, "head dX", product, operands, lists);
  }
  // Without tensor cores, products take what is left out as zeros.
  if (marks) clearOthers(a, marks);
  matmul(graph, "head dX", product, operands);
}

/**
 * Log-probabilities of the labels; with weights, logits become weight · (softmax − label).
 *
 * @param marks of `columnMarks`, to be set for the columns whose gradients matter
 */
function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  logProbs: Tensor,
  rows: { first: number; count: number },
  lossWeights?: Tensor,
  marks?: Tensor,
): void {
  const graph = logits.graph;
  const vocabulary = logits.shape[1];
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const gradient = `
  // Every lane has read the label's logit before one of them overwrites it.
  storageBarrier();
  // The label's own term is set afterwards, by the lane that wrote the others of its vector.
  let weight = select(loss_weights[row], 0f, ignored);
  for (var i = lane; i < ${columns}u; i += ${lanes}u) {
    let probability = exp(number(logits[start + i]) - normalizer);
    logits[start + i] = logits_type(weight * probability);
    ${marks ? markLikely(vocabulary) : ""}
  }
  if (lane == label / ${vector}u % ${lanes}u && !ignored) {
    let probability = exp(label_logit - normalizer);
    logits[start + label / ${vector}u]${vector === 1 ? "" : "[label % 4u]"} =
      ${logits.dtype}(weight * (probability - 1f));
    ${marks ? markLabel(vocabulary) : ""}
  }`;
  graph.dispatch(
    "cross-entropy",
    {
      labels: read(labels, 1, rows),
      log_probs: (rows.first === 0 ? write : update)(logProbs, 1, rows),
      logits: lossWeights ? update(logits, vector) : read(logits, vector),
      ...(lossWeights && { loss_weights: read(lossWeights, 1, rows) }),
      ...(marks && { marks: settable(marks) }),
    },
    `
alias number = ${numberType(vector)};
var<workgroup> partial: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.x;
  let start = row * ${columns}u;
  let ignored = labels[row] == ${IGNORED}u;
  let label = select(labels[row], 0u, ignored);
  let label_logit = f32(logits[start + label / ${vector}u]${vector === 1 ? "" : "[label % 4u]"});
  // A running maximum, and the sum of exponentials under it, in one pass over the row.
  var highest = -1e30f;
  var sum = 0f;
  for (var i = lane; i < ${columns}u; i += ${lanes}u) {
    let value = number(logits[start + i]);
    let higher = max(highest, ${
      vector === 1 ? "value" : "max(max(value.x, value.y), max(value.z, value.w))"
    });
    sum = sum * exp(highest - higher) + ${total("exp(value - higher)", vector)};
    highest = higher;
  }
  partial[lane] = highest;
  workgroupBarrier();
  var top = -1e30f;
  for (var i = 0u; i < ${lanes}u; i++) { top = max(top, partial[i]); }
  workgroupBarrier();
  partial[lane] = sum * exp(highest - top);
  ${foldPartials(["partial"], lanes)}
  let normalizer = top + log(partial[0]);
  if (lane == 0u) { log_probs[row] = select(label_logit - normalizer, 0f, ignored); }
  ${lossWeights ? gradient : ""}
}`,
    [rows.count],
  );
}

/**
 * loss[0] += Σ over rows of weight · (−log-probability), in a fixed order.
 *
 * @param logProbs [tokens] f32
 * @param weights [tokens] f32
 * @param loss [1] f32
 */
export function addLoss(logProbs: Tensor, weights: Tensor, loss: Tensor): void {
  const graph = logProbs.graph;
  const lanes = 64;
  graph.dispatch(
    "loss",
    { log_probs: read(logProbs), weights: read(weights), loss: update(loss) },
    `
var<workgroup> partial: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0f;
  for (var row = lane; row < ${logProbs.size}u; row += ${lanes}u) {
    sum -= weights[row] * log_probs[row];
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 0u; i < ${lanes}u; i++) { loss[0] += partial[i]; }
  }
}`,
    [1],
  );
}
