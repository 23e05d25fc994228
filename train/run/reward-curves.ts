import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { type Line, lineChart } from "./line-chart.ts";

const CHOSEN = { name: "chosen", color: "#3b7d4f" };
const REJECTED = { name: "rejected", color: "#c23531" };
const BLUE = "#7ea6d3";

/** The rewards of chosen and rejected answers over a run, and their margin. */
export function rewardCurve(metrics: readonly StepMetrics[]): string {
  return lineChart({
    title: "Rewards",
    axis: "reward",
    lines: [
      line(metrics, "chosenReward", CHOSEN),
      line(metrics, "rejectedReward", REJECTED),
      line(metrics, "margin", { name: "margin", color: BLUE }),
    ],
  });
}

/** The share of pairs whose chosen answer has the larger reward. */
export function accuracyCurve(metrics: readonly StepMetrics[]): string {
  return lineChart({
    title: "Pairs in which the chosen answer has the larger reward",
    axis: "share",
    lines: [line(metrics, "accuracy", { name: "training", color: BLUE })],
  });
}

/** The log-probabilities of chosen and rejected answers. */
export function logProbCurve(metrics: readonly StepMetrics[]): string {
  return lineChart({
    title: "Log-probabilities of the answers",
    axis: "nats an answer",
    lines: [line(metrics, "chosenLogProb", CHOSEN), line(metrics, "rejectedLogProb", REJECTED)],
  });
}

function line(
  metrics: readonly StepMetrics[],
  measure: string,
  look: { name: string; color: string },
): Line {
  return { ...look, dense: true, points: metrics.map((step) => [step.step, step[measure]]) };
}
