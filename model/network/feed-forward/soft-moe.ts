import {
  continueSegments,
  dispatchToLaterSegments,
  slotMemoryShape,
} from "../../../kernels/soft-moe/causal-soft-moe.ts";
import { combineSlots, dispatchToSlots } from "../../../kernels/soft-moe/soft-moe.ts";
import { atLeastOne } from "../../number-range.ts";
import type { ConfigReader } from "../config-reader.ts";
import { type Parameter, type SharedSizes, stacked } from "../layer.ts";
import { Expert, expertKeys } from "./expert.ts";
import type { FeedForward, FeedForwardKind } from "./feed-forward.ts";

const KEYS = {
  ...expertKeys,
  n_experts: { meaning: "number of experts of a layer", ...atLeastOne },
  slots_per_expert: {
    meaning: "number of slots of each expert of a Soft MoE; a slot is a weighted mean of tokens",
    ...atLeastOne,
  },
};

const CAUSAL_KEYS = {
  ...KEYS,
  segment_length: {
    meaning: "tokens of a segment of a causal Soft MoE, whose slots are of the segments before",
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
  read(read, sizes) {
    const { expert, slots: _, ...layer } = readSlots(read, sizes);
    return {
      ...layer,
      causal: false,
      // The experts' few slots stand for a whole sequence: they are left out.
      flopsPerToken: () => 0,

      forward(x, residual, { phi, scale, up, down }, { sequences, use }, weight) {
        const routing = dispatchToSlots({ x, weight }, phi, scale, sequences);
        use?.count(phi, routing.combine, sequences, routing.dispatch);
        const outputs = expert.forward(routing.slots, { up, down });
        return combineSlots(outputs, routing, sequences, residual);
      },
    };
  },
};

/**
 * A Soft Mixture of Experts that is causal, by segments as in Lory (Zhong et al., arXiv 2405.03133): the
 * slots that a segment's tokens combine are averages of the tokens of the segments before it.
 */
export const causalSoftMoE: FeedForwardKind = {
  name: "softmoe_causal",
  meaning: "Soft MoE of the segments before a token's own",
  keys: CAUSAL_KEYS,
  read(read, sizes) {
    const { expert, slots, ...layer } = readSlots(read, sizes);
    const length = read.number("segment_length", CAUSAL_KEYS.segment_length, 64);
    return {
      ...layer,
      causal: true,
      memory: slotMemoryShape(slots, sizes.hiddenSize),
      flopsPerToken: () => slots * (expert.flopsPerRow / length + 2 * 2 * sizes.hiddenSize),

      forward(
        x,
        residual,
        { phi, scale, up, down },
        { sequences, positions, memory, use },
        weight,
      ) {
        const tokens = { x, weight };
        let routing;
        if (memory?.continues) {
          routing = continueSegments(tokens, phi, scale, sequences, memory, positions, length);
        } else {
          routing = dispatchToLaterSegments(tokens, phi, scale, sequences, length);
          if (memory) routing.keepSums(memory);
        }
        use?.count(phi, routing.combine, sequences);
        const outputs = expert.forward(routing.slots, { up, down });
        return combineSlots(outputs, routing, routing.spans, residual);
      },
    };
  },
};

/** What every Soft MoE has: keys of slots, and experts that map them. */
function readSlots(read: ConfigReader, { hiddenSize }: SharedSizes) {
  const expert = Expert.read(read, hiddenSize);
  const experts = read.number("n_experts", KEYS.n_experts);
  const slotsPerExpert = read.number("slots_per_expert", KEYS.slots_per_expert, 1);
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
    expert,
    slots: experts * slotsPerExpert,
    ways: experts * slotsPerExpert,
    // The experts see only a few slots, with numbers that f16 does not reach.
    inputType: "f32",
    readsDirections: true,
    parameters: [phi, scale, ...ofExperts.flat()],
    tensors: {
      phi: stacked(phi.shape, phi),
      scale: stacked(scale.shape, scale),
      ...expert.tensors(ofExperts, "f32", "linear"),
    },
  } satisfies Partial<FeedForward> & Record<string, unknown>;
}
