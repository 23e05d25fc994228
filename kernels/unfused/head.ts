import { type HeadWeights, IGNORED } from "../loss/head.ts";
import { matmul } from "../matmul/matmul.ts";
import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { bytesOf } from "../runtime/storage.ts";
import { addColumnSums } from "../wgsl/column-sums.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";

/** Rows of a part come in multiples of this, so that every slice starts on a 256-byte border. */
const ROW_UNIT = 128;

/**
 * The last linear layer and its cross-entropy from elementary operators, as PyTorch runs them without
 * a kernel of its own: all logits, then their log-softmax in f32, then the labels' entries of it are
 * computed and kept, and the logits' gradient is a tensor of its own. The same numbers as `head`, with
 * the same arguments.
 *
 * No binding holds all logits of a large vocabulary: they lie in parts, which exist together.
 *
 * @param hidden [tokens, width] f32 or f16
 * @param labels [tokens] u32: the token that should follow, or IGNORED
 * @param lossWeights [tokens] f32
 * @returns log-probability of each label, [tokens]; 0 where ignored
 */
export function unfusedHead(
  hidden: Tensor,
  { weight, bias }: HeadWeights,
  labels: Tensor,
  lossWeights?: Tensor,
): Tensor {
  const { graph, shape: [tokens, width] } = hidden;
  const [vocabulary] = weight.shape;
  const operand = hidden.dtype === "f16" ? weight.half ?? weight : weight;
  const together = Math.max(
    1,
    Math.floor(graph.capabilities.maxBindingBytes / bytesOf.f32 / vocabulary / ROW_UNIT),
  ) * ROW_UNIT;
  const parts: { first: number; count: number }[] = [];
  for (let first = 0; first < tokens; first += together) {
    parts.push({ first, count: Math.min(together, tokens - first) });
  }
  const rowsOf = ({ first, count }: { first: number; count: number }) => ({
    first: first * width,
    count: count * width,
  });
  const common = { batch: 1, bias: false, accumulate: false } as const;

  const logits = parts.map((part) => {
    const c = graph.tensor("logits", [part.count, vocabulary], hidden.dtype);
    const sizes = { layout: "nt", m: part.count, n: vocabulary, k: width } as const;
    matmul(
      graph,
      "head",
      { ...common, ...sizes, bias: bias !== undefined },
      { a: hidden, sliceA: rowsOf(part), b: operand, c, bias },
    );
    return c;
  });
  const logSoftmaxes = logits.map(logSoftmax);
  const logProbs = graph.tensor("log-probabilities", [tokens]);
  logSoftmaxes.forEach((values, index) => {
    const rows = parts[index];
    graph.elementwise(
      "labels' log-probabilities",
      rows.count,
      {
        values: read(values),
        labels: read(labels, 1, rows),
        y: (index === 0 ? write : update)(logProbs, 1, rows),
      },
      `let ignored = labels[i] == ${IGNORED}u;
    y[i] = select(values[i * ${vocabulary}u + select(labels[i], 0u, ignored)], 0f, ignored);`,
    );
  });
  if (!lossWeights) return logProbs;

  const gradients = logSoftmaxes.map((values, index) =>
    logitGradients(values, labels, lossWeights, parts[index], hidden.dtype)
  );
  const dhidden = graph.gradientTarget(hidden);
  const dweight = graph.gradientTarget(weight);
  const dbias = bias && graph.gradientTarget(bias);
  gradients.forEach((a, index) => {
    const slice = rowsOf(parts[index]);
    const { count } = parts[index];
    if (dhidden) {
      matmul(
        graph,
        "head dX",
        {
          ...{ ...common, layout: "nn", m: count, n: width, k: vocabulary },
          accumulate: dhidden.accumulate,
        },
        { a, b: operand, c: dhidden.tensor, sliceC: slice },
      );
    }
    if (dweight) {
      matmul(
        graph,
        "head dW",
        { ...common, layout: "tn", m: vocabulary, n: width, k: count, accumulate: true },
        { a, b: hidden, sliceB: slice, c: dweight.tensor },
      );
    }
    if (dbias) addColumnSums(a, dbias.tensor);
  });
  return logProbs;
}

/** log(softmax(logits)) of each row, f32. */
function logSoftmax(logits: Tensor): Tensor {
  const { graph, shape: [rows, vocabulary] } = logits;
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const y = graph.tensor("log-softmax", logits.shape);
  const each = (statement: string) =>
    `for (var i = start + lane; i < start + ${columns}u; i += ${lanes}u) { ${statement} }`;
  graph.dispatch(
    "log-softmax",
    { logits: read(logits, vector), y: write(y, vector) },
    `
alias number = ${numberType(vector)};
var<workgroup> partial: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let start = group.x * ${columns}u;
  var highest = number(-1e30f);
  ${each("highest = max(highest, number(logits[i]));")}
  partial[lane] = ${
      vector === 1 ? "highest" : "max(max(highest.x, highest.y), max(highest.z, highest.w))"
    };
  workgroupBarrier();
  var top = -1e30f;
  for (var i = 0u; i < ${lanes}u; i++) { top = max(top, partial[i]); }
  workgroupBarrier();
  var sum = 0f;
  ${each(`sum += ${total("exp(number(logits[i]) - top)", vector)};`)}
  partial[lane] = sum;
  ${foldPartials(["partial"], lanes)}
  let normalizer = top + log(partial[0]);
  ${each("y[i] = number(logits[i]) - normalizer;")}
}`,
    [rows],
  );
  return y;
}

/** weight · (softmax − label) of each row, of the type of the logits. */
function logitGradients(
  logSoftmax: Tensor,
  labels: Tensor,
  lossWeights: Tensor,
  rows: { first: number; count: number },
  dtype: Tensor["dtype"],
): Tensor {
  const { graph, shape: [, vocabulary] } = logSoftmax;
  const vector = vectorOf(vocabulary);
  const columns = vocabulary / vector;
  const y = graph.tensor("logits.gradient", logSoftmax.shape, dtype);
  const isLabel = vector === 1
    ? `column == label`
    : `4u * column + vec4u(0u, 1u, 2u, 3u) == vec4u(label)`;
  graph.elementwise(
    "cross-entropy dX",
    logSoftmax.size / vector,
    {
      values: read(logSoftmax, vector),
      labels: read(labels, 1, rows),
      weights: read(lossWeights, 1, rows),
      y: write(y, vector),
    },
    `let row = i / ${columns}u;
    let column = i % ${columns}u;
    let label = labels[row];
    let weight = select(weights[row], 0f, label == ${IGNORED}u);
    let wanted = select(number(), number(1f), ${isLabel});
    y[i] = y_type(weight * (exp(values[i]) - wanted));`,
    vector,
  );
  return y;
}
