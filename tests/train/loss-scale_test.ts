/** Loss scaling: the rule itself, one overflow through the whole loop, and a resume that keeps it. */
import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { parseConfig } from "../../model/network/config.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { runStage } from "../../train/run/run-stage.ts";
import { findRun } from "../../train/checkpoint/training-checkpoint.ts";
import { LossScale } from "../../train/step/loss-scale.ts";
import type { MicroBatch } from "../../train/step/micro-batch.ts";
import { NextTokenObjective } from "../../train/step/objective.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { result } from "./child-run.ts";

Deno.test("loss scale: it halves at an overflow and doubles after 1,000 steps without one", () => {
  const scale = new LossScale(true);
  assertEquals(scale.state, { value: 2 ** 16, calm: 0 });
  assertEquals(scale.update(false), true);
  assertEquals(scale.state, { value: 2 ** 15, calm: 0 });
  for (let step = 0; step < 999; step++) scale.update(true);
  assertEquals(scale.state, { value: 2 ** 15, calm: 999 });
  scale.update(true);
  assertEquals(scale.state, { value: 2 ** 16, calm: 0 });
  scale.update(true);
  scale.update(false);
  assertEquals(scale.state, { value: 2 ** 15, calm: 0 }, "an overflow ends the count");
});

Deno.test("loss scale: an overflow at a scale of 1 is the end, and so is any in f32", () => {
  const scale = new LossScale(true);
  for (let value = 2 ** 16; value > 1; value /= 2) {
    assertEquals([scale.value, scale.update(false)], [value, true]);
  }
  assertEquals([scale.value, scale.update(false)], [1, false]);
  const single = new LossScale(false);
  for (let step = 0; step < 1000; step++) assert(single.update(true));
  assertEquals(single.value, 1);
  assertEquals([single.update(false), single.value], [false, 1]);
});

Deno.test("loss scale: it goes on from what was saved, the count included", () => {
  const saved = new LossScale(true);
  saved.restore({ value: 8, calm: 998 });
  const scale = new LossScale(true);
  scale.restore(JSON.parse(JSON.stringify(saved.state)));
  scale.update(true);
  assertEquals(scale.state, { value: 8, calm: 999 });
  scale.update(true);
  assertEquals(scale.state, { value: 16, calm: 0 });
});

const LENGTH = 12;
const RATE = 1e-2;
const SETTINGS = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };
const ROOM = { tokens: 2 * LENGTH, sequences: 2 };

/** The same micro-batch at every step, so that runs can be compared whose steps are others. */
const BATCH: MicroBatch = {
  inputs: [0, 1].map((row) => Array.from({ length: LENGTH }, (_, i) => (row * 17 + i * 5) % 64)),
  labels: [0, 1].map((row) =>
    Array.from({ length: LENGTH }, (_, i) => (row * 17 + i * 5 + 5) % 64)
  ),
};

/** Makes the gradients of one step too large for f16. */
class OverflowAt extends NextTokenObjective {
  #step = 0;

  constructor(private readonly overflowing: number) {
    super();
  }

  override upload(gpu: Gpu, microBatch: MicroBatch, weight: number): void {
    super.upload(gpu, microBatch, ++this.#step === this.overflowing ? 1e25 * weight : weight);
  }
}

async function freshParameters(): Promise<Parameters> {
  const parameters = new Parameters(
    parseConfig({
      ...{ vocab_size: 64, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1 },
      ...{ num_attention_heads: 2, FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 2 },
      ...{ mlp_div_ratio: 1, max_position_embeddings: 64 },
    }, "test"),
    true,
  );
  await parameters.load(gpu, (part) => initialValues(part, 5, part.first + part.name.length));
  return parameters;
}

/** Four steps of the run in `dir`, or what is left of them; step 2 overflows. */
async function runTo4(dir: string): Promise<{ parameters: Parameters; said: string[] }> {
  const parameters = await freshParameters();
  const begun = await findRun(dir);
  let index = begun?.state.step ?? 0;
  const said: string[] = [];
  await runStage({
    ...{ name: "test", dir, begun, gpu, parameters, room: ROOM, heldOut: [] },
    source: { next: () => (index++, [BATCH]), position: () => ({ epoch: 0, index }) },
    objective: () => new OverflowAt(2 - index),
    training: {
      ...{ ...SETTINGS, steps: 4, learningRate: RATE, minimumLearningRate: RATE, warmupSteps: 0 },
      ...{ validateEvery: 9, checkpointEvery: 1, keepCheckpoints: 9 },
    },
  }, { onMessage: (text) => said.push(text) });
  return { parameters, said };
}

Deno.test({
  name: "an overflow skips its step, halves the scale, and is forgotten by nothing that goes on",
  ignore: !gpu.capabilities.f16,
  fn: () =>
    inTemporaryFolder(async (dir) => {
      const { parameters, said } = await runTo4(dir);
      const skip = "step 2: a gradient overflowed at loss scale 65536; step skipped, the scale is";
      assertEquals(said.filter((text) => text.startsWith("step")), [`${skip} now 32768`]);
      const checkpoint = (step: number) => `${dir}/checkpoints/step-000000${step}`;
      const stateAt = async (step: number) =>
        JSON.parse(await Deno.readTextFile(`${checkpoint(step)}/training-state.json`));
      for (const file of ["model.safetensors", "optimizer.safetensors"]) {
        assertEquals(
          await Deno.readFile(`${checkpoint(2)}/${file}`),
          await Deno.readFile(`${checkpoint(1)}/${file}`),
          `${file} of a skipped step`,
        );
      }
      const { step, skipped, lossScale } = await stateAt(2);
      assertEquals([step, skipped, lossScale], [2, 1, { value: 2 ** 15, calm: 0 }]);
      assertEquals((await stateAt(4)).lossScale, { value: 2 ** 15, calm: 2 });
      const lines = readMetrics(`${dir}/metrics.jsonl`);
      assertEquals(lines.map(({ lossScale, skipped }) => [lossScale, skipped]), [
        [2 ** 16, 0],
        [2 ** 16, 1],
        [2 ** 15, 1],
        [2 ** 15, 1],
      ]);

      // The same without the overflow: AdamW's third step is this run's fourth.
      const other = await freshParameters();
      const calm = await TrainingStep.plan(gpu, other, { ...SETTINGS, ...ROOM });
      await calm.run([BATCH], RATE, 1);
      calm.lossScale.restore({ value: 2 ** 15, calm: 0 });
      for (const number of [2, 3]) await calm.run([BATCH], RATE, number);
      for (const { name } of other.parts) {
        assertEquals(await parameters.read(gpu, name), await other.read(gpu, name), name);
      }
      calm.destroy();

      const whole = await result(dir, 4);
      await Deno.remove(checkpoint(4), { recursive: true });
      await runTo4(dir);
      assertEquals(await result(dir, 4), whole, "gone on with after step 3");
    }),
});
