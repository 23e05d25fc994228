import { chooseExperts } from "../../../kernels/mixture-of-experts/choose-experts.ts";
import {
  combineExperts,
  dispatchToExperts,
  gateRows,
} from "../../../kernels/mixture-of-experts/dispatch-and-combine.ts";
import { groupByExpert } from "../../../kernels/mixture-of-experts/groups.ts";
import { groupedLinear } from "../../../kernels/mixture-of-experts/grouped-linear.ts";
import { add } from "../../../kernels/layers/add.ts";
import { cast } from "../../../kernels/layers/cast.ts";
import { linear } from "../../../kernels/layers/linear.ts";
import { ofLinear, stacked, weight } from "../layer.ts";
import type { Expert } from "./expert.ts";
import type { ExpertRouting, FeedForward } from "./feed-forward.ts";

/** What a mixture of experts is made of. */
export interface Mixture extends ExpertRouting {
  /** Width of a token's hidden state. */
  readonly hiddenSize: number;
  /** What each expert is. */
  readonly expert: Expert;
  /** Divide the weights of a token's experts by their sum. */
  readonly normalize: boolean;
  /** An expert that all tokens go through, behind a gate. */
  readonly shared?: Expert;
}

/**
 * A sparse mixture of experts: a router sends each token to its likeliest experts, and adds what they
 * return, weighted by the router's probabilities (Shazeer et al., arXiv 1701.06538), as Mixtral (arXiv
 * 2401.04088) and, with a shared expert, Qwen1.5-MoE have it. It is causal: tokens are routed alone.
 */
export function mixtureOfExperts(
  { hiddenSize, expert, shared, normalize, ...routing }: Mixture,
): FeedForward {
  const { experts, perToken } = routing;
  const gate = weight("gate.weight", experts, hiddenSize);
  const ofExperts = Array.from({ length: experts }, (_, i) => expert.parameters(`experts.${i}.`));
  const sharedParameters = shared?.parameters("shared_expert.") ?? [];
  const sharedGate = weight("shared_expert_gate.weight", 1, hiddenSize);
  const ofShared = shared?.tensors([sharedParameters], "operand", "linear");
  return {
    causal: true,
    inputType: "operand",
    routing,
    ways: experts,
    parameters: [
      gate,
      ...ofExperts.flat(),
      ...shared ? [...sharedParameters, sharedGate] : [],
    ],
    tensors: {
      // The choice is made in f32: f16 would round nearly equal experts to the same probability.
      gate: stacked(gate.shape, gate),
      ...expert.tensors(ofExperts, "operand", "groupedLinear"),
      ...ofShared && {
        sharedUp: ofShared.up,
        sharedDown: ofShared.down,
        sharedGate: ofLinear(stacked(sharedGate.shape, sharedGate)),
      },
    },
    flopsPerToken: () =>
      2 * hiddenSize * experts + perToken * expert.flopsPerRow +
      (shared ? 2 * hiddenSize + shared.flopsPerRow : 0),

    forward(x, residual, weights, { sequences, balance, use }) {
      const exact = cast(x, "f32");
      const choice = chooseExperts(linear(exact, weights.gate), sequences, {
        perToken,
        normalize,
        router: weights.gate,
        balance,
        use,
      });
      const groups = groupByExpert(choice.chosen, experts);
      const outputs = expert.forward(
        dispatchToExperts(x, groups),
        { up: weights.up, down: weights.down },
        (rows, weight) => groupedLinear(rows, weight, groups),
      );
      const y = combineExperts(outputs, choice.weights, groups, residual);
      if (!shared) return y;
      const { sharedUp: up, sharedDown: down, sharedGate } = weights;
      return add(y, gateRows(shared.forward(x, { up, down }), linear(exact, sharedGate)));
    },
  };
}
