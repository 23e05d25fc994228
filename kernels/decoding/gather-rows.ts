import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * y[i] = x[rows[i]], without a gradient.
 *
 * @param x [any, width] f32 or f16
 * @param rows [count] u32
 * @returns [count, width], of the type of x
 */
export function gatherRows(x: Tensor, rows: Tensor): Tensor {
  const { graph } = rows;
  const width = x.shape[1];
  const y = graph.tensor(`rows of ${x.name}`, [rows.size, width], x.dtype);
  graph.elementwise(
    "gather rows",
    y.size,
    { x: read(x), rows: read(rows), y: write(y) },
    `y[i] = x[rows[i / ${width}u] * ${width}u + i % ${width}u];`,
  );
  return y;
}
