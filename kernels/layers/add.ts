import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * y = a + b, element by element: the residual connection. The gradient of y becomes that of both
 * sides, without a copy.
 *
 * @param a any shape, f32 or f16
 * @param b the same shape
 * @param dtype type of the sum
 */
export function add(a: Tensor, b: Tensor, dtype: "f32" | "f16" = "f32"): Tensor {
  const graph = a.graph;
  const y = graph.tensor("sum", a.shape, dtype);
  y.passesHalfGradient = dtype === "f32" && (a.dtype === "f16" || b.dtype === "f16");
  graph.parallel(
    "add",
    { a: read(a), b: read(b), y: write(y) },
    "y[i] = y_type(number(a[i]) + number(b[i]));",
  );
  graph.onBackward(y, (dy) => {
    graph.passGradient(dy, a);
    graph.passGradient(dy, b);
  });
  return y;
}
