import { type Curve, lineChart } from "../../data/page/charts.ts";
import { chartFile } from "../../data/page/draw.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";

/** The rewards of chosen and rejected answers over a run, and their margin, as an SVG file. */
export function rewardCurve(metrics: readonly StepMetrics[]): string {
  const curves = { chosenReward: "chosen", rejectedReward: "rejected", margin: "margin" };
  return picture("Rewards", "reward", curves, metrics);
}

/** The share of pairs whose chosen answer has the larger reward, as an SVG file. */
export function accuracyCurve(metrics: readonly StepMetrics[]): string {
  const title = "Pairs in which the chosen answer has the larger reward";
  return picture(title, "share", { accuracy: "training" }, metrics);
}

/** The log-probabilities of chosen and rejected answers, as an SVG file. */
export function logProbCurve(metrics: readonly StepMetrics[]): string {
  const curves = { chosenLogProb: "chosen", rejectedLogProb: "rejected" };
  return picture("Log-probabilities of the answers", "nats an answer", curves, metrics);
}

/** @param names of the curves in the legend, by what was measured */
function picture(
  title: string,
  unit: string,
  names: Record<string, string>,
  metrics: readonly StepMetrics[],
): string {
  const curves = Object.entries(names).map(([key, name]): Curve => ({
    ...{ name, look: "thin" },
    points: metrics.map((line) => [line.step, line[key]]),
  }));
  return chartFile(lineChart({ title, curves, unit }));
}
