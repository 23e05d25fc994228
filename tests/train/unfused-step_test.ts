/** Whole training steps with operators made of elementary ones. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { microBatchOfBlocks } from "../../train/batches/block-batches.ts";
import { benchmarkModel } from "../../train/bench/benchmark-model.ts";
import { memoryOfStep } from "../../train/bench/step-benchmark.ts";
import { FUSED_OPERATORS, objectiveOf, unfusedModel } from "../../train/bench/unfused-model.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { randomNumbers } from "../kernels/harness.ts";
import { openTestGpu } from "../open-gpu.ts";

const shape = { microBatch: 2, sequence: 16 };
const room = { tokens: 32, sequences: 2, longest: 16 };
const rates = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 };

Deno.test("steps with all operators unfused have the losses and gradient norms of fused ones", async () => {
  const gpu = await openTestGpu();
  const { config } = await benchmarkModel(true);
  const small = { ...config, layers: config.layers.slice(1), vocabSize: 64 };
  const blocks = [1, 2].map((first) =>
    Int32Array.from({ length: 17 }, (_, i) => (first * 31 + i * i * 7) % 64)
  );
  const reports = [];
  const memories = [];
  for (
    const [names, recompute] of [[[], false], [FUSED_OPERATORS, false], [
      FUSED_OPERATORS,
      true,
    ]] as const
  ) {
    const unfused = new Set(names);
    const parameters = new Parameters(unfusedModel(small, unfused), false);
    const random = randomNumbers(1);
    await parameters.load(gpu, ({ shape, initial }) => {
      const values = random(shape.reduce((size, length) => size * length, 1));
      return values.map((value) => "constant" in initial ? initial.constant : value / 20);
    });
    const how = { recompute, objective: objectiveOf(unfused) };
    const planned = memoryOfStep(gpu, parameters, shape, how);
    const step = await TrainingStep.plan(gpu, parameters, { ...rates, ...room, ...how });
    assertEquals(step.memory, planned);
    memories.push(totalBytes(planned));
    for (const number of [1, 2]) {
      reports.push(await step.run([microBatchOfBlocks(blocks)], 1e-2, number));
    }
    step.destroy();
    parameters.destroy();
  }
  const [one, two, ...others] = reports;
  assert(two.loss < one.loss);
  others.forEach(({ loss, gradientNorm }, index) => {
    const fused = [one, two][index % 2];
    assertAlmostEquals(loss, fused.loss, 1e-5 * fused.loss);
    assertAlmostEquals(gradientNorm, fused.gradientNorm, 1e-4 * fused.gradientNorm);
  });
  assert(memories[0] < memories[1] && memories[2] < memories[1], `${memories}`);

  // Eight ranks, of which only this one is there: each keeps an eighth of what AdamW needs.
  const parameters = new Parameters(small, false);
  const alone = memoryOfStep(gpu, parameters, shape, {});
  const ranks = { ...aloneOn(""), size: 8, hostRanks: [0, 1, 2, 3, 4, 5, 6, 7] };
  const shared = memoryOfStep(gpu, parameters, shape, { ranks });
  assert(shared.optimizer! < alone.optimizer! / 7, `${shared.optimizer} of ${alone.optimizer}`);
  gpu.close();
});
