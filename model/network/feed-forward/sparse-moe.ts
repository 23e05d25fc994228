import { atLeastOne, notNegative } from "../../number-range.ts";
import { Expert, expertKeys } from "./expert.ts";
import type { FeedForwardKind } from "./feed-forward.ts";
import { mixtureOfExperts } from "./mixture-of-experts.ts";

const KEYS = {
  ...expertKeys,
  n_experts: { meaning: "number of experts of a layer", ...atLeastOne },
  num_experts_per_tok: { meaning: "experts that a token of a sparse MoE goes to", ...atLeastOne },
  router_aux_loss_coef: {
    meaning: "weight of the loss that keeps the choice of experts even",
    ...notNegative,
  },
};

/**
 * A sparse mixture of Steel-LLM's experts, with the router of Mixtral (arXiv 2401.04088): to compare
 * with a soft one.
 */
export const sparseMoE: FeedForwardKind = {
  name: "moe_topk",
  meaning: "sparse MoE",
  keys: KEYS,
  read(read, { hiddenSize }) {
    const experts = read.number("n_experts", KEYS.n_experts);
    return mixtureOfExperts({
      hiddenSize,
      expert: Expert.read(read, hiddenSize),
      experts,
      perToken: read.number("num_experts_per_tok", { whole: true, least: 1, most: experts }, 2),
      normalize: true,
      balanceWeight: read.number("router_aux_loss_coef", KEYS.router_aux_loss_coef, 0.01),
    });
  },
};
