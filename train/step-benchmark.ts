import type { Gpu } from "../kernels/device.ts";
import type { MemoryReport } from "../kernels/memory.ts";
import { type LabelTime, profile } from "../kernels/profile.ts";
import type { ModelConfig } from "../model/config.ts";
import { Parameters } from "../model/parameters.ts";
import { randomWeights } from "./benchmark-model.ts";
import type { MicroBatch } from "./training-step.ts";
import { TrainingStep } from "./training-step.ts";

/** What is timed. */
export interface StepShape {
  readonly config: ModelConfig;
  readonly microBatch: number;
  readonly sequence: number;
  readonly mixed: boolean;
}

export interface StepTimes {
  /** Of the median step. */
  readonly tokensPerSecond: number;
  /** Times of every measured step, in milliseconds. */
  readonly milliseconds: number[];
  readonly memory: MemoryReport;
  readonly losses: number[];
}

/** Micro-batches a step, as in the PyTorch figures that these are compared with. */
const ACCUMULATION = 2;
const OPTIONS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

/** Milliseconds of steps that are not counted: a GPU takes a while to leave its idle clock. */
const WARM_UP = 4000;

/** Times whole training steps on random tokens, clipping and AdamW included, after a warm-up. */
export async function benchmarkStep(
  gpu: Gpu,
  shape: StepShape,
  steps: number,
): Promise<StepTimes> {
  const step = await planStep(gpu, shape);
  const milliseconds: number[] = [];
  const losses: number[] = [];
  const started = performance.now();
  for (let number = 1; milliseconds.length < steps; number++) {
    const batches = Array.from({ length: ACCUMULATION }, () => randomBatch(shape));
    const began = performance.now();
    const { loss } = await step.run(batches, 3e-4, number);
    if (number > 2 && began - started > WARM_UP) milliseconds.push(performance.now() - began);
    losses.push(loss);
  }
  const median = milliseconds.toSorted((a, b) => a - b)[Math.floor(steps / 2)];
  const tokens = ACCUMULATION * shape.microBatch * shape.sequence;
  step.destroy();
  return { tokensPerSecond: tokens / median * 1000, milliseconds, memory: step.memory, losses };
}

/** Where a step's time goes: one micro-batch and one update, kernel by kernel. */
export async function profileStep(
  gpu: Gpu,
  shape: StepShape,
): Promise<{ microBatch: LabelTime[]; update: LabelTime[] }> {
  const step = await planStep(gpu, shape);
  await step.run([randomBatch(shape)], 3e-4, 1);
  step.accumulate(randomBatch(shape), 1 / (shape.microBatch * shape.sequence));
  await profile(gpu, step.plans.microBatch);
  const times = {
    microBatch: await profile(gpu, step.plans.microBatch),
    update: await profile(gpu, step.plans.update),
  };
  step.destroy();
  return times;
}

/** Floating-point operations that a token needs, forward and backward, without recomputation. */
export function flopsPerToken(config: ModelConfig, sequence: number): number {
  const { hiddenSize, heads, keyValueHeads, headDim, layers, vocabSize } = config;
  const projections = hiddenSize * (2 * heads + 2 * keyValueHeads) * headDim;
  const attention = sequence * heads * headDim;
  return 6 * (layers * (projections + attention) + vocabSize * hiddenSize);
}

async function planStep(gpu: Gpu, { config, microBatch, sequence, mixed }: StepShape) {
  const parameters = new Parameters(config, mixed);
  const step = await TrainingStep.plan(gpu, parameters, {
    ...OPTIONS,
    tokens: microBatch * sequence,
    sequences: microBatch,
  });
  await parameters.load(gpu, randomWeights);
  return step;
}

function randomBatch({ config, microBatch, sequence }: StepShape): MicroBatch {
  const blocks = Array.from(
    { length: microBatch },
    () =>
      Int32Array.from({ length: sequence + 1 }, () => Math.floor(Math.random() * config.vocabSize)),
  );
  return {
    inputs: blocks.map((block) => block.subarray(0, -1)),
    labels: blocks.map((block) => block.subarray(1)),
  };
}
