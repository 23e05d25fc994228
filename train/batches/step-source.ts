import type { MicroBatch } from "../step/micro-batch.ts";

/** An endless supply of micro-batches for optimizer steps, with a position that can be saved. */
export interface StepSource {
  /** The micro-batches of the next step. */
  next(): MicroBatch[];
  /**
   * The position, a JSON object with at least the whole numbers `epoch` and `index`. A source that is
   * opened at this position continues with the same steps.
   */
  position(): unknown;
}
