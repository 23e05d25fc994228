import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { MemoryReport } from "../../kernels/runtime/memory.ts";
import { type LabelTime, profile } from "../../kernels/runtime/profile.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { microBatchOfBlocks } from "../batches/block-batches.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import { type StepReport, TrainingStep } from "../step/training-step.ts";

/** The number of sequences computed at once, and their length. */
export interface StepShape {
  readonly microBatch: number;
  readonly sequence: number;
}

/** How many micro-batches a step has, and who computes them. */
export interface StepShare {
  /** Micro-batches of each rank; 2 if not given, as in the PyTorch figures that ours stand beside. */
  readonly accumulation?: number;
  /** The ranks that share the steps out, all of which call; this process alone if not given. */
  readonly ranks?: Communicator;
  /** How gradients and weights travel between ranks. */
  readonly exchange?: ExchangeFormat;
}

/** Seconds for the sum of the gradients, and for the new weights. */
export type ExchangeTimes = StepReport["waited"];

export interface StepTimes {
  /** Tokens per second of the median step, of all ranks together. */
  readonly tokensPerSecond: number;
  /** Seconds of the median step. */
  readonly seconds: number;
  /** Seconds of a step in which the GPU had computed all it could, and waited; medians. */
  readonly waited: ExchangeTimes;
  /** The same of a step without micro-batches, which hide nothing. */
  readonly exchange: ExchangeTimes;
  /** Memory of one rank. */
  readonly memory: MemoryReport;
}

const ACCUMULATION = 2;
const LEARNING_RATE = 3e-4;
const OPTIONS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

/** Milliseconds of steps before the measurement: an idle GPU runs at a lower clock for a while. */
const WARM_UP = 4000;

/** Steps without micro-batches that are timed. */
const EXCHANGES = 5;

/**
 * Times whole training steps on random tokens, clipping and AdamW included, after a warm-up.
 *
 * @param parameters loaded; they are trained
 * @param steps how many to time
 */
export async function benchmarkStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  steps: number,
  { accumulation = ACCUMULATION, ranks = aloneOn(""), exchange }: StepShare = {},
): Promise<StepTimes> {
  const step = await planStep(gpu, parameters, shape, { ranks, exchange });
  const { vocabSize } = parameters.config;
  const microBatches = accumulation * ranks.size;
  const milliseconds: number[] = [];
  const waited: ExchangeTimes[] = [];
  const started = performance.now();
  let number = 1;
  for (; milliseconds.length < steps; number++) {
    const batches = Array.from({ length: microBatches }, () => randomBatch(vocabSize, shape));
    // All ranks begin to measure at the same step.
    const [[elapsed]] = await ranks.allGather([performance.now() - started]);
    const began = performance.now();
    const report = await step.run(batches, LEARNING_RATE, number);
    if (number <= 2 || elapsed <= WARM_UP) continue;
    milliseconds.push(performance.now() - began);
    waited.push(report.waited);
  }
  const alone: ExchangeTimes[] = [];
  for (let i = 0; i < EXCHANGES; i++) {
    alone.push((await step.run([], LEARNING_RATE, number++)).waited);
  }
  await step.release();
  step.destroy();
  const seconds = median(milliseconds) / 1000;
  return {
    tokensPerSecond: microBatches * shape.microBatch * shape.sequence / seconds,
    seconds,
    waited: mediansOf(waited),
    exchange: mediansOf(alone),
    memory: step.memory,
  };
}

function mediansOf(times: readonly ExchangeTimes[]): ExchangeTimes {
  return {
    gradients: median(times.map(({ gradients }) => gradients)),
    weights: median(times.map(({ weights }) => weights)),
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/**
 * Measures the time of one micro-batch and of one update, kernel by kernel.
 *
 * @param parameters loaded; they are trained
 */
export async function profileStep(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
): Promise<{ microBatch: LabelTime[]; update: LabelTime[] }> {
  const step = await planStep(gpu, parameters, shape);
  const batch = randomBatch(parameters.config.vocabSize, shape);
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

function planStep(
  gpu: Gpu,
  parameters: Parameters,
  { microBatch, sequence }: StepShape,
  share: Pick<StepShare, "ranks" | "exchange"> = {},
) {
  const tokens = microBatch * sequence;
  const rows = { tokens, sequences: microBatch, longest: sequence };
  return TrainingStep.plan(gpu, parameters, { ...OPTIONS, ...rows, ...share });
}

function randomBatch(vocabSize: number, { microBatch, sequence }: StepShape): MicroBatch {
  const token = () => Math.floor(Math.random() * vocabSize);
  return microBatchOfBlocks(Array.from(
    { length: microBatch },
    () => Int32Array.from({ length: sequence + 1 }, token),
  ));
}
