import type { Tensor } from "../runtime/graph.ts";
import type { Sequences, Spans } from "../layers/sequences.ts";
import { addRoutingGradients, rowDots, scoreSlots } from "./routing.ts";
import { softmaxOverTokens } from "./slot-softmax.ts";
import { gatherTokens, scatterSlots, type SlotTokens, tokenSlotScores } from "./slots.ts";

/*
 * The router of a Soft Mixture of Experts (Puigcerver et al., arXiv 2308.00951), as Steel-LLM's
 * `softmoe_v3` has it: slots are averages of the tokens of a sequence, experts map slots, tokens
 * receive averages of the mapped slots.
 *
 * All of it is f32, in mixed precision too: there are few slots, and two gated layers turn them into
 * numbers that are too small for f16 (1e-9 at the start of training).
 */

/** What the tokens sent to the slots, and how they will combine what the experts return. */
export interface Routing {
  /** [experts, sequences, slotsPerExpert, width] f32: inputs of the experts. */
  readonly slots: Tensor;
  /** [tokens, S] f32: softmax over the slots, token by token. */
  readonly combine: Tensor;
  /** [tokens, S] f32: softmax over the tokens of a sequence, slot by slot, where slots are its means. */
  readonly dispatch?: Tensor;
}

/**
 * Computes the slots: t̂ = t / ‖t‖, logits = t̂ · scale · phi / ‖phi‖, dispatch = softmax of the logits
 * over the tokens of a sequence, combine = softmax over all slots, slots = dispatchᵀ · t̂.
 *
 * @param tokens t
 * @param phi [width, experts, slotsPerExpert] f32
 * @param scale [1] f32
 */
export function dispatchToSlots(
  tokens: SlotTokens,
  phi: Tensor,
  scale: Tensor,
  sequences: Sequences,
): Routing {
  const { x, weight } = tokens;
  const { graph } = x;
  const scores = scoreSlots(tokens, phi, scale, sequences);
  const { combine, inverseNorm, layout } = scores;
  const dispatch = softmaxOverTokens(scores.logits, sequences);
  const factors = { scale: inverseNorm, weight };
  const slots = gatherTokens(dispatch, x, sequences, layout, factors);
  graph.onBackward(slots, (dslots) => {
    const slotDots = rowDots(slots, dslots);
    addRoutingGradients(scores, sequences, { weights: dispatch, dsums: dslots, slotDots });
  });
  return { slots, combine, dispatch };
}

/**
 * y[t] = Σ over slots of combine[t, slot] · outputs[slot], plus residual[t].
 *
 * @param outputs [experts, sequences, slotsPerExpert, width] f32: the slots that the experts mapped
 * @param residual [tokens, width] f32: the tokens before the layer; nothing is added when left out
 * @returns [tokens, width] f32; rows of padding keep their residual, or are 0
 */
export function combineSlots(
  outputs: Tensor,
  { combine }: Routing,
  sequences: Spans,
  residual?: Tensor,
): Tensor {
  const graph = outputs.graph;
  const [experts, , slotsPerExpert] = outputs.shape;
  const y = scatterSlots(combine, outputs, sequences, residual);
  graph.onBackward(y, (dy) => {
    if (residual) graph.passGradient(dy, residual);
    combine.gradient = tokenSlotScores(dy, outputs, sequences);
    const layout = { experts, slotsPerExpert };
    graph.passGradient(gatherTokens(combine, dy, sequences, layout), outputs);
  });
  return y;
}
