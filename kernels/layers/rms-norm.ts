import { read, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { plus, rmsNormGradients } from "./rms-norm-gradients.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";

/**
 * y = x / sqrt(mean(x²) + epsilon) · (offset + weight), row by row (Zhang and Sennrich, arXiv
 * 1910.07467).
 *
 * @param x [rows, width] f32
 * @param weight [width] f32
 * @param epsilon added to the mean square
 * @param dtype type of the result; when left out, the type that the graph's matrix products take
 * @param offset 1 where the weight is stored less 1, as in Gemma
 * @returns [rows, width]
 */
export function rmsNorm(
  x: Tensor,
  weight: Tensor,
  epsilon: number,
  dtype: "f32" | "f16" = x.graph.operand,
  offset = 0,
): Tensor {
  const graph = x.graph;
  const [width] = weight.shape;
  const rows = x.size / width;
  const vector = vectorOf(width);
  const y = graph.tensor("rms-norm", x.shape, dtype);
  const inverse = graph.tensor("rms-norm.inverse", [rows]);
  reduceRows(
    graph,
    "rms-norm",
    {
      x: read(x, vector),
      weight: read(weight, vector),
      y: write(y, vector),
      inverse: write(inverse),
    },
    {
      rows,
      width,
      vector,
      sums: { square: "x[at] * x[at]" },
      between: `let scale = inverseSqrt(square / ${width}f + ${epsilon});
  if (lane == 0u) { inverse[row] = scale; }`,
      each: `y[at] = y_type(x[at] * scale * ${plus(offset, "weight[column]")});`,
    },
  );

  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    const dweight = graph.gradientTarget(weight);
    if (dx || dweight) rmsNormGradients({ x, weight, offset, inverse }, dy, dx, dweight?.tensor);
  });
  return y;
}
