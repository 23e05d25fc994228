import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * y = factor · x.
 *
 * @param x any shape, f32 or f16
 * @returns of the same shape and type
 */
export function scale(x: Tensor, factor: number): Tensor {
  const graph = x.graph;
  const y = graph.tensor("scaled", x.shape, x.dtype);
  graph.parallel(
    "scale",
    { x: read(x), y: write(y) },
    `y[i] = y_type(${factor}f * number(x[i]));`,
  );
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const { tensor, accumulate } = target;
    graph.parallel(
      "scale dX",
      { dy: read(dy), dx: (accumulate ? update : write)(tensor) },
      `dx[i] ${accumulate ? "+=" : "="} dx_type(${factor}f * number(dy[i]));`,
    );
  });
  return y;
}
