import { read, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { addColumnSums } from "../wgsl/column-sums.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";
import { bound, set } from "./gradient.ts";

/**
 * RMSNorm from elementary operators, as PyTorch runs it without a kernel of its own: squares, their
 * means, inverse roots, products with these and with the weight. Each one's result is written to
 * memory, and each has a gradient of its own. The same numbers as `rmsNorm`.
 *
 * @param x [rows, width] f32
 * @param weight [width] f32
 * @param epsilon added to the mean square
 * @param dtype type of the result; when left out, the type that the graph's matrix products take
 * @returns [rows, width]
 */
export function unfusedRmsNorm(
  x: Tensor,
  weight: Tensor,
  epsilon: number,
  dtype: "f32" | "f16" = x.graph.operand,
): Tensor {
  const inverse = inverseRoot(rowMeans(square(x)), epsilon);
  return scaleColumns(scaleRows(x, inverse), weight, dtype);
}

/** y = x². */
function square(x: Tensor): Tensor {
  const { graph } = x;
  const y = graph.tensor("squares", x.shape);
  graph.parallel("square", { x: read(x), y: write(y) }, "y[i] = x[i] * x[i];");
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    const arrays = { x: read(x), dy: read(dy), dx: bound(dx) };
    graph.parallel("square dX", arrays, `dx[i] ${set(dx)} 2f * x[i] * dy[i];`);
  });
  return y;
}

/** The mean of each row: [rows, width] to [rows]. */
function rowMeans(x: Tensor): Tensor {
  const { graph, shape: [rows, width] } = x;
  const vector = vectorOf(width);
  const y = graph.tensor("means", [rows]);
  reduceRows(graph, "row means", { x: read(x, vector), y: write(y) }, {
    ...{ rows, width, vector },
    sums: { sum: "x[at]" },
    between: `if (lane == 0u) { y[row] = sum / ${width}f; }`,
  });
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    graph.elementwise(
      "row means dX",
      x.size / vector,
      { dy: read(dy), dx: bound(dx, vector) },
      `dx[i] ${set(dx)} number(dy[i / ${width / vector}u] / ${width}f);`,
      vector,
    );
  });
  return y;
}

/** y = 1 / sqrt(x + epsilon). */
function inverseRoot(x: Tensor, epsilon: number): Tensor {
  const { graph } = x;
  const y = graph.tensor("inverse roots", x.shape);
  const arrays = { x: read(x), y: write(y) };
  graph.parallel("inverse root", arrays, `y[i] = inverseSqrt(x[i] + ${epsilon});`);
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    const arrays = { y: read(y), dy: read(dy), dx: bound(dx) };
    graph.parallel(
      "inverse root dX",
      arrays,
      `dx[i] ${set(dx)} -0.5f * y[i] * y[i] * y[i] * dy[i];`,
    );
  });
  return y;
}

/** Each row times a number of its own: x [rows, width], factors [rows]. */
function scaleRows(x: Tensor, factors: Tensor): Tensor {
  const { graph, shape: [rows, width] } = x;
  const vector = vectorOf(width);
  const columns = width / vector;
  const y = graph.tensor("scaled rows", x.shape);
  graph.elementwise(
    "scale rows",
    x.size / vector,
    { x: read(x, vector), factors: read(factors), y: write(y, vector) },
    `y[i] = x[i] * factors[i / ${columns}u];`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (dx) {
      graph.elementwise(
        "scale rows dX",
        x.size / vector,
        { dy: read(dy, vector), factors: read(factors), dx: bound(dx, vector) },
        `dx[i] ${set(dx)} dy[i] * factors[i / ${columns}u];`,
        vector,
      );
    }
    const dfactors = graph.gradientTarget(factors);
    if (!dfactors) return;
    const bindings = { x: read(x, vector), dy: read(dy, vector), dfactors: bound(dfactors) };
    reduceRows(graph, "scale rows dF", bindings, {
      ...{ rows, width, vector },
      sums: { sum: "x[at] * dy[at]" },
      between: `if (lane == 0u) { dfactors[row] ${set(dfactors)} sum; }`,
    });
  });
  return y;
}

/** Each column times a number of its own: x [rows, width] f32, factors [width]. */
function scaleColumns(x: Tensor, factors: Tensor, dtype: "f32" | "f16"): Tensor {
  const { graph, shape: [, width] } = x;
  const vector = vectorOf(width);
  const columns = width / vector;
  const y = graph.tensor("scaled columns", x.shape, dtype);
  graph.elementwise(
    "scale columns",
    x.size / vector,
    { x: read(x, vector), factors: read(factors, vector), y: write(y, vector) },
    `y[i] = y_type(x[i] * factors[i % ${columns}u]);`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    const dfactors = graph.gradientTarget(factors);
    if (dfactors) {
      const products = graph.tensor("scale columns.products", x.shape);
      const arrays = { x: read(x), dy: read(dy), products: write(products) };
      graph.parallel("multiply", arrays, "products[i] = x[i] * number(dy[i]);");
      addColumnSums(products, dfactors.tensor);
    }
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    graph.elementwise(
      "scale columns dX",
      x.size / vector,
      { dy: read(dy, vector), factors: read(factors, vector), dx: bound(dx, vector) },
      `dx[i] ${set(dx)} number(dy[i]) * factors[i % ${columns}u];`,
      vector,
    );
  });
  return y;
}
