import type { TrainedStep } from "./run-options.ts";

/** What a display shows of a training step. */
type StepStatus = Pick<
  TrainedStep,
  "loss" | "learningRate" | "tokensPerSecond" | "shareOfPeak" | "gpus" | "shareWaited"
>;

/** Such as `loss 5.123  lr 3.00e-4  12,345 tok/s  41 % of peak`. */
export function statusText(status: StepStatus): string {
  const { loss, learningRate, tokensPerSecond, shareOfPeak, gpus, shareWaited } = status;
  return [
    `loss ${loss.toFixed(3)}`,
    `lr ${learningRate.toExponential(2)}`,
    `${inWholeTokens(tokensPerSecond)} tok/s`,
    ...gpus === undefined ? [] : [`${inWholeTokens(tokensPerSecond / gpus)} a GPU`],
    ...shareOfPeak === undefined ? [] : [`${Math.round(100 * shareOfPeak)} % of peak`],
    ...shareWaited === undefined ? [] : [`${Math.round(100 * shareWaited)} % exchange`],
  ].join("  ");
}

function inWholeTokens(rate: number): string {
  return Math.round(rate).toLocaleString("en");
}
