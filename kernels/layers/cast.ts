import type { Tensor } from "../runtime/graph.ts";

/**
 * The same numbers in another type; the gradient returns to the type of x.
 *
 * @param x any shape, f32 or f16
 * @returns x itself where it has the type already
 */
export function cast(x: Tensor, dtype: "f32" | "f16"): Tensor {
  if (x.dtype === dtype) return x;
  const graph = x.graph;
  const y = graph.convert(x, dtype);
  y.passesHalfGradient = x.dtype === "f16";
  graph.onBackward(y, (dy) => graph.passGradient(dy, x));
  return y;
}
