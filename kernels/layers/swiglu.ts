import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * y = silu(gate) ⊙ up, where a row of x holds the gate first and then up, as one linear layer over
 * stacked weights leaves them (Shazeer, arXiv 2002.05202).
 *
 * @param x [..., 2 · width] f32 or f16
 * @returns [..., width], of the same type
 */
export function swiglu(x: Tensor): Tensor {
  const graph = x.graph;
  const width = x.shape.at(-1)! / 2;
  const y = graph.tensor("swiglu", [...x.shape.slice(0, -1), width], x.dtype);
  const vector = vectorOf(width);
  const columns = width / vector;
  const count = y.size / vector;
  const locate = `let gate_at = (i / ${columns}u) * ${2 * columns}u + i % ${columns}u;
    let up_at = gate_at + ${columns}u;
    let gate = number(x[gate_at]);
    let up = number(x[up_at]);
    // silu(g) = g · sigmoid(g); exp overflows to infinity for very negative g, and 1/∞ = 0 is right.
    let sigmoid = 1f / (1f + exp(-gate));`;
  graph.elementwise(
    "swiglu",
    count,
    { x: read(x, vector), y: write(y, vector) },
    `${locate}
    y[i] = y_type(gate * sigmoid * up);`,
    vector,
  );

  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const assign = target.accumulate ? "+=" : "=";
    const dx = (target.accumulate ? update : write)(target.tensor, vector);
    graph.elementwise(
      "swiglu dX",
      count,
      { x: read(x, vector), dy: read(dy, vector), dx },
      `${locate}
    let slope = number(dy[i]);
    dx[gate_at] ${assign} dx_type(slope * up * sigmoid * (1f + gate * (1f - sigmoid)));
    dx[up_at] ${assign} dx_type(slope * gate * sigmoid);`,
      vector,
    );
  });
  return y;
}
