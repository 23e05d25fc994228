import { addColumnSums } from "../wgsl/column-sums.ts";
import { matmul } from "../matmul/matmul.ts";
import type { Tensor } from "../runtime/graph.ts";
import { add } from "./add.ts";
import { dropout } from "./dropout.ts";
import { AdaptedWeight, expandUp } from "./low-rank.ts";

/**
 * y = x · weightᵀ + bias, or a batch of them. A weight that is adapted has its update added: with x̃ = x
 * or, in training, dropout(x), y = x · weightᵀ + bias + scale · (x̃ · Aᵀ) · Bᵀ.
 *
 * @param x [rows, in] or [batch, rows, in], f32 or f16
 * @param weight [out, in] or [batch, out, in], f32, with a copy in f16 where x is f16; a frozen one may
 *   have the type of x itself
 * @param bias [out], only without a batch
 * @returns [rows, out] or [batch, rows, out], of the type of x
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  if (!(weight instanceof AdaptedWeight)) return product(x, weight, bias);
  const { graph, dtype } = x;
  const { down, dropout: dropping } = weight.lowRank;
  // The update comes first on the tape: gradients of x then begin with those of the large product,
  // which on tensor cores cannot add to f16.
  const inputs = graph.training && dropping ? dropout(x, dropping) : x;
  const type = dtype === "f16" ? "f16" : "f32";
  const lowRank = product(product(inputs, down), expandUp(graph, weight, type));
  return add(product(x, weight, bias), lowRank, type);
}

function product(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const graph = x.graph;
  const [outputs, inputs] = weight.shape.slice(-2);
  const batch = weight.size / (outputs * inputs);
  const rows = x.size / (batch * inputs);
  const operand = x.dtype === "f16" ? weight.half ?? weight : weight;
  const y = graph.tensor(`${weight.name}.output`, [...x.shape.slice(0, -1), outputs], x.dtype);
  const label = `linear ${outputs}×${inputs}`;
  const forward = {
    layout: "nt",
    batch,
    m: rows,
    n: outputs,
    k: inputs,
    accumulate: false,
  } as const;
  matmul(graph, label, { ...forward, bias: bias !== undefined }, { a: x, b: operand, c: y, bias });

  graph.onBackward(y, (dy) => {
    const dw = graph.gradientTarget(weight);
    if (dw) {
      const { tensor: c, accumulate } = dw;
      const product = { layout: "tn", batch, m: outputs, n: inputs, k: rows } as const;
      matmul(graph, `${label} dW`, { ...product, accumulate, bias: false }, { a: dy, b: x, c });
    }
    const db = bias && graph.gradientTarget(bias);
    if (db) addColumnSums(dy, db.tensor);
    const dx = graph.gradientTarget(x);
    if (dx) {
      const { tensor: c, accumulate } = dx;
      const product = { layout: "nn", batch, m: rows, n: inputs, k: outputs } as const;
      matmul(graph, `${label} dX`, { ...product, accumulate, bias: false }, {
        a: dy,
        b: operand,
        c,
      });
    }
  });
  return y;
}
