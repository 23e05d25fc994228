import { add } from "../../../kernels/layers/add.ts";
import { gelu } from "../../../kernels/layers/activations.ts";
import { linear } from "../../../kernels/layers/linear.ts";
import { bias, ofLinear, operand, stacked, weight } from "../layer.ts";
import type { FeedForward } from "./feed-forward.ts";

/** y = W_2 gelu(W_1 x + b_1) + b_2, with gelu by its tanh formula: GPT-2's layer, which Phi has. */
export function geluFeedForward(
  hiddenSize: number,
  innerSize: number,
): FeedForward<"up" | "upBias" | "down" | "downBias"> {
  const up = weight("fc1.weight", innerSize, hiddenSize);
  const upBias = bias("fc1.bias", innerSize);
  const down = weight("fc2.weight", hiddenSize, innerSize);
  const downBias = bias("fc2.bias", hiddenSize);
  return {
    causal: true,
    inputType: "operand",
    parameters: [up, upBias, down, downBias],
    tensors: {
      up: ofLinear(operand(up.shape, up)),
      upBias: stacked(upBias.shape, upBias),
      down: ofLinear(operand(down.shape, down)),
      downBias: stacked(downBias.shape, downBias),
    },
    flopsPerToken: () => 2 * 2 * hiddenSize * innerSize,
    forward(x, residual, { up, upBias, down, downBias }) {
      const y = linear(gelu(linear(x, up, upBias)), down, downBias);
      return residual ? add(residual, y) : y;
    },
  };
}
