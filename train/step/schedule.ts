/** The learning rate over a run: linear warm-up, then a half cosine down (arXiv 2502.06635, 3.2). */
export interface LearningRateSchedule {
  /** Optimizer steps of the whole run. */
  steps: number;
  /** Steps of warm-up; the last of them has the peak learning rate. */
  warmupSteps: number;
  /** The highest learning rate. */
  learningRate: number;
  /** The end of the cosine, reached one step after the last. */
  minimumLearningRate: number;
}

/**
 * The learning rate of a step, counted from 0.
 *
 * In the order of these operations the figures equal PyTorch's LambdaLR over
 * `(step + 1) / warmup` and `0.5 * (1 + cos(pi * progress))` to the last bit of a float64.
 */
export function learningRate(step: number, schedule: LearningRateSchedule): number {
  const { steps, warmupSteps, learningRate: peak, minimumLearningRate: minimum } = schedule;
  if (step < warmupSteps) return peak * (step + 1) / warmupSteps;
  if (step >= steps) return minimum;
  const angle = Math.PI * (step - warmupSteps) / (steps - warmupSteps);
  return minimum + (peak - minimum) * 0.5 * (1 + Math.cos(angle));
}
