import { add } from "../../../kernels/layers/add.ts";
import { Expert, expertKeys } from "./expert.ts";
import type { FeedForward, FeedForwardKind } from "./feed-forward.ts";

/** One expert that every token goes through: y = expert(x). Plain Qwen2 and Llama have it. */
export const dense: FeedForwardKind = {
  name: "raw",
  meaning: "one expert for all tokens",
  keys: expertKeys,
  read: (read, { hiddenSize }) => denseLayer(Expert.read(read, hiddenSize, { isOptional: true })),
};

function denseLayer(expert: Expert): FeedForward<"up" | "down"> {
  const parameters = expert.parameters();
  return {
    causal: true,
    inputType: "operand",
    parameters,
    tensors: expert.tensors([parameters], "operand"),
    json: { FFN_type: dense.name, ...expert.json },
    flopsPerToken: () => expert.flopsPerRow,
    forward: (x, residual, weights) => add(residual, expert.forward(x, weights)),
  };
}
