import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { type Curve, drawCurves } from "./curves.ts";

const CHOSEN = { name: "chosen", color: "#3b7d4f" };
const REJECTED = { name: "rejected", color: "#c23531" };
const BLUE = "#7ea6d3";

/** The rewards of chosen and rejected answers over a run, and their margin. */
export function rewardCurve(metrics: readonly StepMetrics[]): string {
  return drawCurves({
    title: "Rewards",
    axis: "reward",
    curves: [
      curve(metrics, "chosenReward", CHOSEN),
      curve(metrics, "rejectedReward", REJECTED),
      curve(metrics, "margin", { name: "margin", color: BLUE }),
    ],
  });
}

/** The share of pairs whose chosen answer has the larger reward. */
export function accuracyCurve(metrics: readonly StepMetrics[]): string {
  return drawCurves({
    title: "Pairs in which the chosen answer has the larger reward",
    axis: "share",
    curves: [curve(metrics, "accuracy", { name: "training", color: BLUE })],
  });
}

/** The log-probabilities of chosen and rejected answers. */
export function logProbCurve(metrics: readonly StepMetrics[]): string {
  return drawCurves({
    title: "Log-probabilities of the answers",
    axis: "nats an answer",
    curves: [curve(metrics, "chosenLogProb", CHOSEN), curve(metrics, "rejectedLogProb", REJECTED)],
  });
}

function curve(
  metrics: readonly StepMetrics[],
  measure: string,
  look: { name: string; color: string },
): Curve {
  return { ...look, dense: true, points: metrics.map((step) => [step.step, step[measure]]) };
}
