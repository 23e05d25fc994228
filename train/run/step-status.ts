/** What is shown of a training step. */
export interface StepStatus {
  /** Mean over the step's target tokens, in nats. */
  loss: number;
  learningRate: number;
  tokensPerSecond: number;
  /** Share of the rate of the device's own matrix product, from 0 to 1; absent where unmeasured. */
  shareOfPeak?: number;
}

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
