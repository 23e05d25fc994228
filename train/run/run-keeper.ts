import type { StepMetrics } from "../../model/host/step-metrics.ts";
import type { TrainingState } from "./training-checkpoint.ts";

/** Where a run leaves what it measures and learns: a folder on a disk, or the memory of a page. */
export interface RunKeeper {
  /** Takes what was measured at a step. The next step waits for it. */
  keep(metrics: StepMetrics): void | Promise<void>;
  /** Saves the weights and the state of the run. Returns the place, for people. */
  save(state: TrainingState): Promise<string>;
}
