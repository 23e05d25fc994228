import type { Gpu } from "../../kernels/runtime/device.ts";
import type { MemoryReport } from "../../kernels/runtime/memory.ts";
import { type LabelTime, profile } from "../../kernels/runtime/profile.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { microBatchOfBlocks } from "../batches/block-batches.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import { TrainingStep } from "../step/training-step.ts";

/** The number of sequences computed at once, and their length. */
export interface StepShape {
  readonly microBatch: number;
  readonly sequence: number;
}

export interface StepTimes {
  /** Tokens per second of the median step. */
  readonly tokensPerSecond: number;
  readonly memory: MemoryReport;
}

/** Micro-batches per step, as in the PyTorch figures that ours are compared with. */
const ACCUMULATION = 2;
const LEARNING_RATE = 3e-4;
const OPTIONS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

/** Milliseconds of steps before the measurement: an idle GPU runs at a lower clock for a while. */
const WARM_UP = 4000;

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
): Promise<StepTimes> {
  const step = await planStep(gpu, parameters, shape);
  const { vocabSize } = parameters.config;
  const milliseconds: number[] = [];
  const started = performance.now();
  for (let number = 1; milliseconds.length < steps; number++) {
    const batches = Array.from({ length: ACCUMULATION }, () => randomBatch(vocabSize, shape));
    const began = performance.now();
    await step.run(batches, LEARNING_RATE, number);
    if (number > 2 && began - started > WARM_UP) milliseconds.push(performance.now() - began);
  }
  const median = milliseconds.toSorted((a, b) => a - b)[Math.floor(steps / 2)];
  const tokens = ACCUMULATION * shape.microBatch * shape.sequence;
  step.destroy();
  return { tokensPerSecond: tokens / median * 1000, memory: step.memory };
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

function planStep(gpu: Gpu, parameters: Parameters, { microBatch, sequence }: StepShape) {
  const tokens = microBatch * sequence;
  const rows = { tokens, sequences: microBatch, longest: sequence };
  return TrainingStep.plan(gpu, parameters, { ...OPTIONS, ...rows });
}

function randomBatch(vocabSize: number, { microBatch, sequence }: StepShape): MicroBatch {
  const token = () => Math.floor(Math.random() * vocabSize);
  return microBatchOfBlocks(Array.from(
    { length: microBatch },
    () => Int32Array.from({ length: sequence + 1 }, token),
  ));
}
