import type { StepMetrics } from "../../model/host/step-metrics.ts";
import type { TrainingState } from "../checkpoint/training-checkpoint.ts";

/** Where a run leaves what it measures and learns: a folder on a disk, or the memory of a page. */
export interface RunKeeper {
  /** Takes what was measured at a step. The next step waits for it. */
  keep(metrics: StepMetrics): void | Promise<void>;
  /**
   * Saves the weights and the state of the run. Training may go on when this returns, though not
   * everything may be written yet.
   *
   * @param goesOn whether it will
   */
  save(state: TrainingState, goesOn: boolean): Promise<Saving>;
}

/** A checkpoint that is being written. */
export interface Saving {
  /** Settled when the checkpoint is whole: its place, for people. Rejected if it was not written. */
  readonly written: Promise<string>;
}
