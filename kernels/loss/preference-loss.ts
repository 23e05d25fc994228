import { read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/** A loss over pairs of answers, with the constants of its formula. */
export interface PreferenceLoss {
  readonly kind: "sigmoid" | "hinge" | "ipo" | "orpo" | "simpo";
  readonly beta: number;
  /** Probability that a preference is the wrong way round (cDPO); for `sigmoid` only. */
  readonly labelSmoothing: number;
  /** Margin by which the chosen answer's reward must be larger; for `simpo` only. */
  readonly gamma: number;
  /** Weight of −(mean log-probability of the chosen answer's tokens), added to any loss. */
  readonly sftWeight: number;
  /** Whether `ipo` takes means over tokens, as trl does; its paper takes sums. */
  readonly ipoMeans: boolean;
}

/** Whether a loss reads the reference model's log-probabilities. */
export function readsReference({ kind }: PreferenceLoss): boolean {
  return kind !== "orpo" && kind !== "simpo";
}

/** The measures of pairs, in this order: sums over all pairs since the host set them to 0. */
export const PREFERENCE_MEASURES = [
  "pairs",
  "loss",
  "chosenReward",
  "rejectedReward",
  "accuracy",
  "chosenLogProb",
  "rejectedLogProb",
] as const;

/**
 * Losses over pairs: sequence 2p is the chosen answer of pair p, 2p + 1 the rejected one. With c and
 * r the log-probabilities of both (sums for `sigmoid` and `hinge`, means over tokens for the rest),
 * D = (c − reference c) − (r − reference r), b = beta, s the logistic function:
 *
 * - `sigmoid`: −(1 − e) ln s(b D) − e ln s(−b D), e the label smoothing (DPO, arXiv 2305.18290)
 * - `hinge`: max(0, 1 − b D) (SLiC, arXiv 2305.10425)
 * - `ipo`: (D − 1 / (2 b))² (arXiv 2310.12036)
 * - `orpo`: −c − b ln s((c − r) − (ln(1 − eᶜ) − ln(1 − eʳ))) (arXiv 2403.07691)
 * - `simpo`: −ln s(b (c − r) − gamma) (arXiv 2405.14734)
 *
 * A reward is b times log-probability less reference (without reference for `orpo` and `simpo`); a
 * pair counts as accurate if the chosen reward is the larger.
 *
 * @param logProbs [2 · pairs, 2] f32: sum and number of labels, as `sequenceLogProbs` gives them
 * @param reference [2 · pairs] f32: sums of the reference model
 * @param weights [pairs] f32: each pair's part in the loss, 0 if there is no such pair
 * @param loss [1] f32: Σ of weight · loss is added
 * @param measures [7] f32: sums are added
 * @returns [2 · pairs] f32: −d(Σ weight · loss) / d(sum of log-probabilities)
 */
export function preferenceLoss(
  loss: PreferenceLoss,
  { logProbs, reference, weights }: Record<"logProbs" | "reference" | "weights", Tensor>,
  total: Tensor,
  measures: Tensor,
): Tensor {
  const graph = logProbs.graph;
  const slopes = graph.tensor("preference slopes", [reference.size]);
  const withReference = readsReference(loss);
  const means = !withReference || (loss.kind === "ipo" && loss.ipoMeans);
  const measured = PREFERENCE_MEASURES
    .map((name, index) => `measures[${index}] += ${MEASURE[name]};`);
  graph.dispatch(
    "preference loss",
    {
      log_probs: read(logProbs, 2),
      reference: read(reference, 2),
      weights: read(weights),
      total: update(total),
      measures: update(measures),
      slopes: write(slopes, 2),
    },
    `
const beta = ${loss.beta}f;

fn sigmoid(x: f32) -> f32 { return 1f / (1f + exp(-x)); }
fn log_sigmoid(x: f32) -> f32 { return min(x, 0f) - log(1f + exp(-abs(x))); }

// 1 - e^x below 0, by its series where the difference would lose its digits.
fn one_minus_exp(x: f32) -> f32 {
  let y = min(x, -1e-7f);
  return select(1f - exp(y), -y * (1f + y / 2f + y * y / 6f), y > -0.01f);
}

@compute @workgroup_size(1)
fn main() {
  for (var pair = 0u; pair < ${weights.size}u; pair++) {
    let weight = weights[pair];
    slopes[pair] = vec2f();
    if (weight == 0f) { continue; }
    let sums = vec2f(log_probs[2u * pair].x, log_probs[2u * pair + 1u].x);
    let counts = max(vec2f(log_probs[2u * pair].y, log_probs[2u * pair + 1u].y), vec2f(1f));
    let unit = ${means ? "1f / counts" : "vec2f(1f)"};
    let own = sums * unit;
    let rewards = beta * (own${withReference ? " - reference[pair] * unit" : ""});
    var loss: f32;
    var slope: vec2f;
    ${FORMULA[loss.kind](loss)}
    loss -= ${loss.sftWeight}f * sums.x / counts.x;
    slopes[pair] = -weight * (slope * unit - vec2f(${loss.sftWeight}f / counts.x, 0f));
    total[0] += weight * loss;
    ${measured.join("\n    ")}
  }
}`,
    [1],
  );
  return slopes;
}

const MEASURE: Record<typeof PREFERENCE_MEASURES[number], string> = {
  pairs: "1f",
  loss: "loss",
  chosenReward: "rewards.x",
  rejectedReward: "rewards.y",
  accuracy: "select(0f, 1f, rewards.x > rewards.y)",
  chosenLogProb: "sums.x",
  rejectedLogProb: "sums.y",
};

/** WGSL that sets `loss`, and `slope`: its derivatives by `own`. */
const FORMULA: Record<PreferenceLoss["kind"], (loss: PreferenceLoss) => string> = {
  sigmoid: ({ labelSmoothing }) => `
    let x = rewards.x - rewards.y;
    let smoothing = ${labelSmoothing}f;
    loss = -(1f - smoothing) * log_sigmoid(x) - smoothing * log_sigmoid(-x);
    slope = (smoothing * sigmoid(x) - (1f - smoothing) * sigmoid(-x)) * vec2f(beta, -beta);`,
  hinge: () => `
    let x = rewards.x - rewards.y;
    loss = max(0f, 1f - x);
    slope = select(0f, -1f, x < 1f) * vec2f(beta, -beta);`,
  ipo: () => `
    let distance = (rewards.x - rewards.y) / beta - 1f / (2f * beta);
    loss = distance * distance;
    slope = 2f * distance * vec2f(1f, -1f);`,
  orpo: () => `
    let rest = vec2f(one_minus_exp(own.x), one_minus_exp(own.y));
    let odds = own.x - own.y - (log(rest.x) - log(rest.y));
    loss = -own.x - beta * log_sigmoid(odds);
    slope = vec2f(-1f, 0f) - beta * sigmoid(-odds) * vec2f(1f, -1f) / rest;`,
  simpo: ({ gamma }) => `
    let x = rewards.x - rewards.y - ${gamma}f;
    loss = -log_sigmoid(x);
    slope = -sigmoid(-x) * vec2f(beta, -beta);`,
};
