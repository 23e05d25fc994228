import type { TrainedStep } from "./run-options.ts";

/** What a display shows of a training step. */
type StepStatus = Pick<TrainedStep, "loss" | "learningRate" | "tokensPerSecond" | "shareOfPeak">;

/** Such as `loss 5.123  lr 3.00e-4  12,345 tok/s  41 % of peak`. */
export function statusText(status: StepStatus): string {
  const { loss, learningRate, tokensPerSecond, shareOfPeak } = status;
  return [
    `loss ${loss.toFixed(3)}`,
    `lr ${learningRate.toExponential(2)}`,
    `${Math.round(tokensPerSecond).toLocaleString("en")} tok/s`,
    ...shareOfPeak === undefined ? [] : [`${Math.round(100 * shareOfPeak)} % of peak`],
  ].join("  ");
}
