/** Activation functions, alone or as the gate of a linear layer, with their gradients. */
import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * An activation function of the form x · sigmoid(argument(x)). Both functions here return WGSL, given
 * WGSL of x.
 */
interface Activation {
  readonly argument: (x: string) => string;
  /** The derivative of the argument; 1 when left out. */
  readonly argumentSlope?: (x: string) => string;
}

/** 2 √(2/π). */
const GELU_SCALE = 2 * Math.sqrt(2 / Math.PI);

/** x · sigmoid(x) (Elfwing et al., arXiv 1702.03118). */
const silu: Activation = { argument: (x) => x };

/**
 * x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))) (Hendrycks and Gimpel, arXiv 1606.08415), which Hugging
 * Face calls `gelu_new` and `gelu_pytorch_tanh`. As (1 + tanh(u)) / 2 = sigmoid(2u), it has the same
 * form as silu.
 */
const tanhGelu: Activation = {
  argument: (x) => `(${x} * (${GELU_SCALE}f + ${GELU_SCALE * 0.044715}f * ${x} * ${x}))`,
  argumentSlope: (x) => `(${GELU_SCALE}f + ${3 * GELU_SCALE * 0.044715}f * ${x} * ${x})`,
};

/**
 * y = silu(gate) ⊙ up, where a row of x holds the gate first and then up, as one linear layer over
 * stacked weights leaves them (Shazeer, arXiv 2002.05202).
 *
 * @param x [..., 2 · width] f32 or f16
 * @returns [..., width], of the same type
 */
export function swiglu(x: Tensor): Tensor {
  return gated("swiglu", x, silu);
}

/**
 * y = gelu(gate) ⊙ up with gelu by its tanh formula, laid out as for {@linkcode swiglu}.
 *
 * @param x [..., 2 · width] f32 or f16
 * @returns [..., width], of the same type
 */
export function geglu(x: Tensor): Tensor {
  return gated("geglu", x, tanhGelu);
}

/**
 * y = gelu(x) by its tanh formula, element by element.
 *
 * @param x any shape, f32 or f16
 * @returns of the same shape and type
 */
export function gelu(x: Tensor): Tensor {
  const graph = x.graph;
  const y = graph.tensor("gelu", x.shape, x.dtype);
  const prepare = `let gate = number(x[i]);
    ${sigmoidOf(tanhGelu)}`;
  graph.parallel(
    "gelu",
    { x: read(x), y: write(y) },
    `${prepare}
    y[i] = y_type(gate * sigmoid);`,
  );
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const assign = target.accumulate ? "+=" : "=";
    graph.parallel(
      "gelu dX",
      {
        x: read(x),
        dy: read(dy),
        dx: (target.accumulate ? update : write)(target.tensor),
      },
      `${prepare}
    dx[i] ${assign} dx_type(number(dy[i]) * ${slopeOf(tanhGelu)});`,
    );
  });
  return y;
}

function gated(name: string, x: Tensor, activation: Activation): Tensor {
  const graph = x.graph;
  const width = x.shape.at(-1)! / 2;
  const y = graph.tensor(name, [...x.shape.slice(0, -1), width], x.dtype);
  const vector = vectorOf(width);
  const columns = width / vector;
  const count = y.size / vector;
  const locate = `let gate_at = (i / ${columns}u) * ${2 * columns}u + i % ${columns}u;
    let up_at = gate_at + ${columns}u;
    let gate = number(x[gate_at]);
    let up = number(x[up_at]);
    ${sigmoidOf(activation)}`;
  graph.elementwise(
    name,
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
      `${name} dX`,
      count,
      { x: read(x, vector), dy: read(dy, vector), dx },
      `${locate}
    let slope = number(dy[i]);
    dx[gate_at] ${assign} dx_type(slope * up * ${slopeOf(activation)});
    dx[up_at] ${assign} dx_type(slope * gate * sigmoid);`,
      vector,
    );
  });
  return y;
}

/** WGSL that declares `sigmoid`, by which the activation multiplies `gate`. */
function sigmoidOf({ argument }: Activation): string {
  return `// silu(g) = g · sigmoid(g); exp overflows to infinity for very negative g, and 1/∞ = 0 is right.
    let sigmoid = 1f / (1f + exp(-${argument("gate")}));`;
}

/** WGSL of the derivative of the activation at `gate`. */
function slopeOf({ argumentSlope }: Activation): string {
  const chain = argumentSlope ? ` * ${argumentSlope("gate")}` : "";
  return `sigmoid * (1f + gate * (1f - sigmoid)${chain})`;
}
