import { combineSlots, dispatchToSlots } from "../../../kernels/soft-moe/soft-moe.ts";
import { atLeastOne } from "../../number-range.ts";
import { type Parameter, stacked } from "../layer.ts";
import { Expert, expertKeys } from "./expert.ts";
import type { FeedForward, FeedForwardKind } from "./feed-forward.ts";

const KEYS = {
  ...expertKeys,
  n_experts: { meaning: "number of experts in a Soft MoE layer", ...atLeastOne },
  slots_per_expert: {
    meaning:
      "number of slots of each expert; a slot is a weighted mean of all tokens of a sequence",
    ...atLeastOne,
  },
};

/**
 * Steel-LLM's Soft Mixture of Experts (arXiv 2502.06635, after Puigcerver et al., arXiv 2308.00951):
 * experts read slots, which are averages of all tokens of a sequence. It is therefore not causal.
 */
export const softMoE: FeedForwardKind = {
  name: "softmoe_v3",
  meaning: "Soft MoE",
  keys: KEYS,
  read: (read, { hiddenSize }) =>
    softMoELayer(hiddenSize, Expert.read(read, hiddenSize), {
      experts: read.number("n_experts", KEYS.n_experts),
      slotsPerExpert: read.number("slots_per_expert", KEYS.slots_per_expert, 1),
    }),
};

function softMoELayer(
  hiddenSize: number,
  expert: Expert,
  { experts, slotsPerExpert }: { experts: number; slotsPerExpert: number },
): FeedForward<"phi" | "scale" | "up" | "down"> {
  const phi: Parameter = {
    name: "phi",
    shape: [hiddenSize, experts, slotsPerExpert],
    initial: { deviation: 1 / Math.sqrt(hiddenSize) },
  };
  const scale: Parameter = { name: "scale", shape: [1], initial: { constant: 1 } };
  const ofExperts = Array.from(
    { length: experts },
    (_, index) => expert.parameters(`experts.${index}.`),
  );
  return {
    causal: false,
    // The experts see only a few slots, with numbers that f16 does not reach.
    inputType: "f32",
    parameters: [phi, scale, ...ofExperts.flat()],
    tensors: {
      phi: stacked(phi.shape, phi),
      scale: stacked(scale.shape, scale),
      ...expert.tensors(ofExperts, "f32"),
    },

    // The experts' few slots stand for a whole sequence: they are left out.
    flopsPerToken: () => 0,

    forward(x, residual, { phi, scale, up, down }, { sequences }) {
      const routing = dispatchToSlots(x, phi, scale, sequences);
      const outputs = expert.forward(routing.slots, { up, down });
      return combineSlots(outputs, routing, sequences, residual);
    },
  };
}
