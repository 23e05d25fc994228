import { add } from "../../../kernels/layers/add.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { SharedSizes } from "../layer.ts";
import { Expert, expertKeys, usualSwiGlu } from "./expert.ts";
import type { FeedForward, FeedForwardKind } from "./feed-forward.ts";

/** One expert that every token goes through: y = expert(x). Plain Qwen2 and Llama have it. */
export const dense: FeedForwardKind = {
  name: "raw",
  meaning: "one expert for all tokens",
  keys: expertKeys,
  read: (read, { hiddenSize }) => denseLayer(Expert.read(read, hiddenSize, { isOptional: true })),
};

/**
 * The feed-forward layer of Llama and most others: SwiGLU without biases, of `intermediate_size`.
 *
 * @throws UserError for another activation, and for biases
 */
export function readSwiGlu(read: ConfigReader, { hiddenSize }: SharedSizes): FeedForward {
  read.only("hidden_act", ["silu"]);
  read.only("mlp_bias", [false]);
  return denseLayer(new Expert(usualSwiGlu, hiddenSize, read.count("intermediate_size")));
}

/** One expert that every token goes through. */
export function denseLayer(expert: Expert): FeedForward<"up" | "down"> {
  const parameters = expert.parameters();
  return {
    causal: true,
    inputType: "operand",
    parameters,
    tensors: expert.tensors([parameters], "operand", "linear"),
    flopsPerToken: () => expert.flopsPerRow,
    forward(x, residual, weights) {
      const y = expert.forward(x, weights);
      return residual ? add(residual, y) : y;
    },
  };
}
