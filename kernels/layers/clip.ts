import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * y = x where |x| ≤ limit, ±limit elsewhere; what was clipped has no gradient.
 *
 * @param x any shape, f32 or f16
 * @returns of the same shape and type
 */
export function clip(x: Tensor, limit: number): Tensor {
  const graph = x.graph;
  const y = graph.tensor("clipped", x.shape, x.dtype);
  graph.parallel(
    "clip",
    { x: read(x), y: write(y) },
    `y[i] = y_type(clamp(number(x[i]), number(-${limit}f), number(${limit}f)));`,
  );
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const { tensor, accumulate } = target;
    graph.parallel(
      "clip dX",
      { x: read(x), dy: read(dy), dx: (accumulate ? update : write)(tensor) },
      `let inside = abs(number(x[i])) <= number(${limit}f);
    dx[i] ${accumulate ? "+=" : "="} dx_type(select(number(), number(dy[i]), inside));`,
    );
  });
  return y;
}
