import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { NO_SEQUENCE, type Sequences } from "../layers/sequences.ts";
import type { RoutingUse } from "../soft-moe/routing-use.ts";
import type { ExpertBalance } from "./expert-balance.ts";

/** Which experts each token goes to, and with which weights. */
export interface ExpertChoice {
  /** [tokens, perToken] u32, the likeliest first. */
  readonly chosen: Tensor;
  /** [tokens, perToken] f32. */
  readonly weights: Tensor;
}

/** What a router does with its logits. */
export interface RouterOptions {
  /** Experts of a token. */
  readonly perToken: number;
  /** Divide the weights of a token by their sum. */
  readonly normalize: boolean;
  /** A parameter by which this layer's router is told from the others. */
  readonly router?: Tensor;
  /** The loss that keeps the choice even. */
  readonly balance?: ExpertBalance;
  /** What takes down how the tokens are divided. */
  readonly use?: RoutingUse;
}

/**
 * Chooses the experts of each token by the softmax of the router's logits: the likeliest ones, with
 * their probabilities as weights (Shazeer et al., arXiv 1701.06538; Jiang et al., arXiv 2401.04088).
 * Of equally likely ones the first is taken.
 *
 * @param logits [tokens, experts] f32
 */
export function chooseExperts(
  logits: Tensor,
  sequences: Sequences,
  { perToken, normalize, router, balance, use }: RouterOptions,
): ExpertChoice {
  const graph = logits.graph;
  const [tokens, experts] = logits.shape;
  const probabilities = graph.tensor("router probabilities", [tokens, experts]);
  const chosen = graph.tensor("chosen experts", [tokens, perToken], "u32");
  const weights = graph.tensor("expert weights", [tokens, perToken]);
  graph.elementwise(
    "choose experts",
    tokens,
    {
      logits: read(logits),
      probabilities: write(probabilities),
      chosen: write(chosen),
      weights: write(weights),
    },
    `let start = i * ${experts}u;
    var highest = logits[start];
    for (var e = 1u; e < ${experts}u; e++) { highest = max(highest, logits[start + e]); }
    var total = 0f;
    for (var e = 0u; e < ${experts}u; e++) { total += exp(logits[start + e] - highest); }
    for (var e = 0u; e < ${experts}u; e++) {
      probabilities[start + e] = exp(logits[start + e] - highest) / total;
    }
    var sum = 0f;
    // The next one is the likeliest of those less likely than the last, or as likely and behind it.
    var last = 0u;
    for (var choice = 0u; choice < ${perToken}u; choice++) {
      var best = ${experts}u;
      for (var e = 0u; e < ${experts}u; e++) {
        let is_left = choice == 0u || logits[start + e] < logits[start + last] ||
          (logits[start + e] == logits[start + last] && e > last);
        if (is_left && (best == ${experts}u || logits[start + e] > logits[start + best])) { best = e; }
      }
      // Only logits that are no numbers leave none.
      last = min(best, ${experts - 1}u);
      chosen[i * ${perToken}u + choice] = last;
      weights[i * ${perToken}u + choice] = probabilities[start + last];
      sum += probabilities[start + last];
    }
    ${
      normalize
        ? `for (var choice = 0u; choice < ${perToken}u; choice++) {
      weights[i * ${perToken}u + choice] /= sum;
    }`
        : ""
    }`,
  );
  balance?.count(router!, probabilities, chosen, sequences);
  use?.count(router!, probabilities, sequences);

  graph.onBackward(weights, (dweights) => {
    const target = graph.gradientTarget(logits);
    if (!target) return;
    const { tensor, accumulate } = target;
    const evenly = balance ? `select(slopes[e], 0f, sequence[i] == ${NO_SEQUENCE}u)` : "0f";
    graph.elementwise(
      "choose experts dLogits",
      tokens,
      {
        probabilities: read(probabilities),
        chosen: read(chosen),
        weights: read(weights),
        dweights: read(dweights),
        ...balance && { slopes: read(balance.slopes), sequence: read(sequences.index) },
        dlogits: (accumulate ? update : write)(tensor),
      },
      `let start = i * ${experts}u;
    let first = i * ${perToken}u;
    // By the weights: with w = p / Σ p of the chosen, dp = (dw − Σ dw · w) / Σ p.
    var sum = 0f;
    var mean = 0f;
    for (var choice = first; choice < first + ${perToken}u; choice++) {
      sum += probabilities[start + chosen[choice]];
      mean += dweights[choice] * weights[choice];
    }
    // By the probabilities, and by what they are the softmax of: dl = p · (dp − Σ dp · p).
    var along = 0f;
    for (var e = 0u; e < ${experts}u; e++) { along += ${evenly} * probabilities[start + e]; }
    for (var choice = first; choice < first + ${perToken}u; choice++) {
      along += ${normalize ? "(dweights[choice] - mean) / sum" : "dweights[choice]"} *
        probabilities[start + chosen[choice]];
    }
    for (var e = 0u; e < ${experts}u; e++) {
      var slope = ${evenly};
      for (var choice = first; choice < first + ${perToken}u; choice++) {
        if (chosen[choice] == e) {
          slope += ${normalize ? "(dweights[choice] - mean) / sum" : "dweights[choice]"};
        }
      }
      dlogits[start + e] ${accumulate ? "+=" : "="} probabilities[start + e] * (slope - along);
    }`,
    );
  });
  return { chosen, weights };
}
