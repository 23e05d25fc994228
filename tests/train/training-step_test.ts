import { assert, assertEquals, assertRejects } from "@std/assert";
import { Gpu } from "../../kernels/runtime/device.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseConfig } from "../../model/network/config.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { initialValues } from "../../model/network/initialization.ts";
import type { MicroBatch } from "../../train/step/micro-batch.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { relativeError } from "../kernels/harness.ts";
import { openTestGpu } from "../open-gpu.ts";

const gpu = await openTestGpu();
const LENGTH = 12;
const OPTIONS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

async function freshModel() {
  const parameters = new Parameters(parseConfig({
    ...{ vocab_size: 64, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 2 },
    ...{ num_attention_heads: 2, FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 2 },
    ...{ mlp_div_ratio: 1, max_position_embeddings: 64 },
  }, "test"));
  await parameters.load(gpu, (part) => initialValues(part, 5, part.first + part.name.length));
  return parameters;
}

/** Eight rows; some labels of some rows are ignored, so that micro-batches differ in targets. */
const ROWS = Array.from({ length: 8 }, (_, row) => ({
  inputs: Array.from({ length: LENGTH }, (_, i) => (row * 17 + i * i * 5) % 64),
  labels: Array.from(
    { length: LENGTH },
    (_, i) => i < row ? -100 : (row * 17 + (i + 1) ** 2 * 5) % 64,
  ),
}));

function microBatches(rowsEach: number): MicroBatch[] {
  return Array.from({ length: ROWS.length / rowsEach }, (_, batch) => {
    const rows = ROWS.slice(batch * rowsEach, (batch + 1) * rowsEach);
    return {
      inputs: rows.map(({ inputs }) => inputs),
      labels: rows.map(({ labels }) => labels),
    };
  });
}

async function weightsOf(parameters: Parameters): Promise<number[]> {
  const arrays = [];
  for (const { name } of parameters.parts) {
    // The softmax does not see a key's bias: its gradient is rounding, of which AdamW makes steps.
    if (!name.endsWith("k_proj.bias")) arrays.push(await parameters.read(gpu, name));
  }
  return arrays.flatMap((array) => Array.from(array));
}

Deno.test("8 × 1, 4 × 2 and 1 × 8 are the same step", async () => {
  const results = [];
  for (const rowsEach of [8, 4, 1]) {
    const parameters = await freshModel();
    const options = { ...OPTIONS, tokens: rowsEach * LENGTH, sequences: rowsEach };
    const step = await TrainingStep.plan(gpu, parameters, options);
    const figures = [];
    for (let number = 1; number <= 4; number++) {
      const { loss, gradientNorm } = await step.run(microBatches(rowsEach), 1e-2, number);
      figures.push(loss, gradientNorm);
    }
    results.push({ figures, weights: await weightsOf(parameters) });
    step.destroy();
  }
  for (const other of results.slice(1)) {
    assert(relativeError(other.figures, results[0].figures) < 1e-5);
    assert(relativeError(other.weights, results[0].weights) < 1e-4);
  }
});

Deno.test("a step without a single target leaves finite weights, and the next one learns", async () => {
  const parameters = await freshModel();
  const step = await TrainingStep.plan(gpu, parameters, {
    ...OPTIONS,
    tokens: LENGTH,
    sequences: 1,
  });
  const [{ inputs, labels }] = microBatches(1);
  const ignored = { inputs, labels: [Array(LENGTH).fill(-100)] };
  const before = await weightsOf(parameters);
  const report = await step.run([ignored, ignored], 1e-3, 1);
  assertEquals([report.loss, report.gradientNorm, report.finite], [0, 0, true]);
  // Weight decay alone.
  const decayed = before.map((value) => value * (1 - 1e-3 * OPTIONS.weightDecay));
  assert(relativeError(await weightsOf(parameters), decayed) < 1e-6);

  const losses = [];
  for (let number = 2; number <= 6; number++) {
    losses.push((await step.run([{ inputs, labels }], 1e-2, number)).loss);
  }
  assert(losses.at(-1)! < losses[0], `${losses}`);
  step.destroy();
});

Deno.test("a gradient that is not finite updates nothing", async () => {
  const parameters = await freshModel();
  const step = await TrainingStep.plan(gpu, parameters, {
    ...OPTIONS,
    tokens: LENGTH,
    sequences: 1,
  });
  const before = await weightsOf(parameters);
  const [batch] = microBatches(1);
  step.accumulate(batch, 1e38);
  step.accumulate(batch, 1e38);
  assertEquals((await step.update(1e-2, 1)).finite, false);
  assertEquals(await weightsOf(parameters), before);
  assertEquals((await step.run([batch], 1e-2, 1)).finite, true);
  step.destroy();
});

Deno.test("layers computed again give the same bits in less memory", async () => {
  const results = [];
  for (const recompute of [false, true]) {
    const parameters = await freshModel();
    const options = { ...OPTIONS, tokens: 8 * LENGTH, sequences: 8, recompute };
    const step = await TrainingStep.plan(gpu, parameters, options);
    const losses = [];
    for (let number = 1; number <= 3; number++) {
      losses.push((await step.run(microBatches(8), 1e-2, number)).loss);
    }
    const weights = await weightsOf(parameters);
    results.push({ losses, weights, activations: step.memory.activations! });
    step.destroy();
  }
  const [kept, recomputed] = results;
  assertEquals(recomputed.losses, kept.losses);
  assertEquals(recomputed.weights, kept.weights);
  assert(recomputed.activations < kept.activations);
});

Deno.test("a step that does not fit is refused before anything is allocated; loaded weights count as there", async () => {
  const options = { ...OPTIONS, tokens: LENGTH, sequences: 1 };
  const parameters = await freshModel();
  const planned = await TrainingStep.plan(gpu, parameters, options);
  const needed = totalBytes(planned.memory) - planned.memory.weights!;
  planned.destroy();
  const planWith = (free: number) => {
    const host = { ...gpu.host, freeMemory: () => free };
    const small = new Gpu(gpu.device, { ...gpu.capabilities, cpu: true }, host);
    return TrainingStep.plan(small, parameters, options);
  };
  await assertRejects(() => planWith(needed - 1), UserError, "Too little memory");
  (await planWith(needed)).destroy();
});
