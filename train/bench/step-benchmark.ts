import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { MemoryReport } from "../../kernels/runtime/memory.ts";
import { type LabelTime, profile } from "../../kernels/runtime/profile.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { microBatchOfBlocks } from "../batches/block-batches.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import { type StepOptions, type StepReport, TrainingStep } from "../step/training-step.ts";

/** The number of sequences computed at once, and their length. */
export interface StepShape {
  readonly microBatch: number;
  readonly sequence: number;
}

/** Who computes a step, and how. */
export interface StepShare extends Pick<StepOptions, "objective" | "recompute" | "headGradient"> {
  /** The ranks that share the steps out, all of which call; this process alone if not given. */
  readonly ranks?: Communicator;
  /** How gradients and weights travel between ranks. */
  readonly exchange?: ExchangeFormat;
}

/** Gives the next micro-batch of a shape. */
export type MicroBatches = (shape: StepShape) => MicroBatch;

/** What a step trains on, if not on random tokens, and how it computes the head's gradient. */
export interface StepWork extends Pick<StepOptions, "headGradient"> {
  readonly microBatches?: MicroBatches;
}

/** Seconds for the sum of the gradients, and for the new weights. */
export type ExchangeTimes = StepReport["waited"];

/** Medians of some steps. */
export interface StepTimes {
  /** Tokens per second, of all ranks together. */
  readonly tokensPerSecond: number;
  /** Seconds from the end of one step to the end of the next. */
  readonly seconds: number;
  /** Seconds of a step in which the GPU had computed all it could, and waited. */
  readonly waited: ExchangeTimes;
}

/** As in the PyTorch figures that ours stand beside. */
const ACCUMULATION = 2;
/** Weights stay as they are: how fast a step is may depend on what they have learnt. */
const LEARNING_RATE = 0;
const OPTIONS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

/** Milliseconds of steps before the measurement: an idle GPU runs at a lower clock for a while. */
const WARM_UP = 4000;

/**
 * Times whole training steps, clipping and AdamW included, after a warm-up.
 *
 * @param parameters loaded
 * @param steps how many to time
 */
export async function benchmarkStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  steps: number,
  accumulation: number = ACCUMULATION,
  { microBatches = randomMicroBatches(parameters), headGradient }: StepWork = {},
): Promise<StepTimes & { memory: MemoryReport }> {
  const step = await planStep(gpu, parameters, shape, { headGradient });
  const times = await timeSteps(step, microBatches, shape, steps, accumulation);
  step.destroy();
  return { ...times, memory: step.memory };
}

/**
 * Times steps that are planned, after a warm-up. All ranks call it.
 *
 * @param steps how many to time
 * @param accumulation micro-batches of each rank; none, to time the exchange where nothing hides it
 * @param warmUp milliseconds of steps before
 */
export async function timeSteps(
  step: TrainingStep,
  microBatches: MicroBatches,
  shape: StepShape,
  steps: number,
  accumulation: number,
  ranks: Communicator = aloneOn(""),
  warmUp = WARM_UP,
): Promise<StepTimes> {
  const count = accumulation * ranks.size;
  const batches = Array.from({ length: count }, () => microBatches(shape));
  const milliseconds: number[] = [];
  const waited: ExchangeTimes[] = [];
  const started = performance.now();
  let ended = started;
  for (let number = 1; milliseconds.length < steps; number++) {
    // All ranks begin to measure at the same step.
    const [[elapsed]] = await ranks.allGather([performance.now() - started]);
    const running = step.run(batches, LEARNING_RATE, number);
    running.catch(() => {}); // thrown below
    step.stage(batches); // as training does, while the GPU is at the step before
    const report = await running;
    const began = ended;
    ended = performance.now();
    if (number <= 2 || elapsed <= warmUp) continue;
    milliseconds.push(ended - began);
    waited.push(report.waited);
  }
  await step.settle();
  const seconds = median(milliseconds) / 1000;
  return {
    tokensPerSecond: count * shape.microBatch * shape.sequence / seconds,
    seconds,
    waited: {
      gradients: median(waited.map(({ gradients }) => gradients)),
      weights: median(waited.map(({ weights }) => weights)),
    },
  };
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/**
 * Measures the time of one micro-batch and of one update, kernel by kernel.
 *
 * @param parameters loaded
 */
export async function profileStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  { microBatches = randomMicroBatches(parameters), headGradient }: StepWork = {},
): Promise<{ microBatch: LabelTime[]; update: LabelTime[] }> {
  const step = await planStep(gpu, parameters, shape, { headGradient });
  const batch = microBatches(shape);
  await step.run([batch], LEARNING_RATE, 1);
  step.accumulate(batch, 1 / (shape.microBatch * shape.sequence));
  await profile(gpu, step.plans.microBatch);
  const times = {
    microBatch: await profile(gpu, step.plans.microBatch),
    update: await profile(gpu, step.plans.update),
  };
  step.destroy();
  return times;
}

/** Plans the steps that are timed. */
export function planStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  share: StepShare = {},
): Promise<TrainingStep> {
  return TrainingStep.plan(gpu, parameters, stepOptions(shape, share));
}

/** The memory of such steps. Nothing is allocated, and ranks are only counted. */
export function memoryOfStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  share: StepShare,
): MemoryReport {
  return TrainingStep.plannedMemory(gpu, parameters, stepOptions(shape, share));
}

function stepOptions({ microBatch, sequence }: StepShape, share: StepShare): StepOptions {
  const tokens = microBatch * sequence;
  return { ...OPTIONS, tokens, sequences: microBatch, longest: sequence, ...share };
}

/** Micro-batches of random tokens. */
export function randomMicroBatches({ config }: Pick<Parameters, "config">): MicroBatches {
  const token = () => Math.floor(Math.random() * config.vocabSize);
  return ({ microBatch, sequence }) =>
    microBatchOfBlocks(Array.from(
      { length: microBatch },
      () => Int32Array.from({ length: sequence + 1 }, token),
    ));
}
