import type { OnProgress } from "../../data/progress/progress.ts";
import type { Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";

/** The outcome of an optimizer step of a run. */
export interface TrainedStep {
  /** Its number, from 1. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Mean loss over the step's targets. */
  readonly loss: number;
  /** Other values that the objective measured, by name. */
  readonly measures: Readonly<Record<string, number>>;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** The learning rate of the step. */
  readonly learningRate: number;
  /** What the loss was multiplied by in mixed precision; 1 in f32. */
  readonly lossScale: number;
  /** Number of steps so far that were skipped because a gradient overflowed in f16. */
  readonly skipped: number;
  /** Number of tokens that the run has trained on so far. */
  readonly tokens: number;
  /** Tokens of the step per second. */
  readonly tokensPerSecond: number;
  /** Share of the rate of the device's own matrix product, from 0 to 1; absent where unmeasured. */
  readonly shareOfPeak?: number;
  /** GPUs that shared the step, if there were several. */
  readonly gpus?: number;
  /** Share of the step, from 0 to 1, in which the first GPU waited for the exchange with others. */
  readonly shareWaited?: number;
}

/** The device of a run, the ranks that share it, the signal that stops it, and its callbacks. All are optional. */
export interface RunOptions {
  /** The device to compute on. When left out, the run opens one. */
  readonly gpu?: Gpu;
  /** The processes that train the model together, one a GPU. When left out, this one is alone. */
  readonly ranks?: Communicator;
  /**
   * When the run began, in milliseconds of `performance.now()`, to tell how long its start took; when
   * left out, the start is counted from when its kernels were planned.
   */
  readonly began?: number;
  /** Stops the run: it finishes the step at hand and saves a checkpoint. */
  readonly signal?: AbortSignal;
  /** Called with each message for people, such as the size of the dataset or the memory needed. */
  readonly onMessage?: (text: string) => void;
  /** Called as long work before and after training goes on, whose tasks are told apart by name. */
  readonly onProgress?: OnProgress;
  /** Called before the first step; `done` is the number of steps of earlier starts of the run. */
  readonly onStart?: (done: number, steps: number) => void;
  /** Called after each step, before it is validated or saved. */
  readonly onStep?: (step: TrainedStep) => void;
  /** Called after each validation with means over the held-out targets, `loss` and others by name. */
  readonly onValidation?: (step: number, measures: Readonly<Record<string, number>>) => void;
  /** Called with the folder of each checkpoint that was saved. */
  readonly onCheckpoint?: (folder: string) => void;
  /** Called after the last step, also if the run was stopped or failed. */
  readonly onEnd?: () => void;
}

/** Whether this process writes the run's files: the first rank does, or the only one. */
export function isWriter({ ranks }: Pick<RunOptions, "ranks">): boolean {
  return ranks === undefined || ranks.rank === 0;
}
