import { addColumnSums, sumColumns } from "../wgsl/column-sums.ts";
import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";

/** The parameters of a LayerNorm. */
export interface LayerNormWeights {
  /** [width] f32. */
  readonly weight: Tensor;
  /** [width] f32. */
  readonly bias: Tensor;
}

/**
 * y = (x − mean) / sqrt(variance + epsilon) · weight + bias, row by row (Ba et al., arXiv 1607.06450).
 * The variance is that of all the row's numbers, which are read twice: the difference of two sums
 * would lose digits where the mean is large.
 *
 * @param x [rows, width] f32
 * @param epsilon added to the variance
 * @param weights left out where there is neither weight nor bias, as in OLMo
 * @param dtype type of the result; when left out, the type that the graph's matrix products take
 * @returns [rows, width]
 */
export function layerNorm(
  x: Tensor,
  epsilon: number,
  weights?: LayerNormWeights,
  dtype: "f32" | "f16" = x.graph.operand,
): Tensor {
  const graph = x.graph;
  const width = x.shape.at(-1)!;
  const rows = x.size / width;
  const vector = vectorOf(width);
  const y = graph.tensor("layer-norm", x.shape, dtype);
  const mean = graph.tensor("layer-norm.mean", [rows]);
  const inverse = graph.tensor("layer-norm.inverse", [rows]);
  const row = { rows, width, vector };
  reduceRows(graph, "layer-norm mean", { x: read(x, vector), mean: write(mean) }, {
    ...row,
    sums: { sum: "x[at]" },
    between: `if (lane == 0u) { mean[row] = sum / ${width}f; }`,
  });
  const centered = "(x[at] - mean[row])";
  const bindings = { x: read(x, vector), mean: read(mean) };
  reduceRows(
    graph,
    "layer-norm",
    {
      ...bindings,
      ...weights && { weight: read(weights.weight, vector), bias: read(weights.bias, vector) },
      y: write(y, vector),
      inverse: write(inverse),
    },
    {
      ...row,
      sums: { square: `${centered} * ${centered}` },
      between: `let scale = inverseSqrt(square / ${width}f + ${epsilon});
  if (lane == 0u) { inverse[row] = scale; }`,
      each: `y[at] = y_type(${centered} * scale${
        weights ? " * weight[column] + bias[column]" : ""
      });`,
    },
  );

  graph.onBackward(y, (dy) => {
    const dweight = weights && graph.gradientTarget(weights.weight);
    if (dweight) {
      const at = `row * ${width / vector}u + column`;
      const term = `partial_type(dy[${at}]) * (x[${at}] - mean[row]) * inverse[row]`;
      const read3 = { ...bindings, inverse: read(inverse), dy: read(dy, vector) };
      sumColumns(graph, "layer-norm dWeight", read3, { rows, term }, dweight.tensor);
    }
    const dbias = weights && graph.gradientTarget(weights.bias);
    if (dbias) addColumnSums(dy, dbias.tensor);
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    // With the unit x̂ = (x − mean) · inverse and g = dy · weight:
    // dx = inverse · (g − mean(g) − x̂ · mean(g · x̂)).
    const slope = weights ? "(number(dy[at]) * weight[column])" : "number(dy[at])";
    const unit = `(${centered} * inverse[row])`;
    reduceRows(
      graph,
      "layer-norm dX",
      {
        ...bindings,
        inverse: read(inverse),
        dy: read(dy, vector),
        ...weights && { weight: read(weights.weight, vector) },
        dx: (dx.accumulate ? update : write)(dx.tensor, vector),
      },
      {
        ...row,
        sums: { total: slope, along: `${slope} * ${unit}` },
        between: `let middle = total / ${width}f;
  let share = along / ${width}f;`,
        each: `dx[at] ${dx.accumulate ? "+=" : "="} inverse[row] *
      (${slope} - middle - ${unit} * share);`,
      },
    );
  });
  return y;
}
