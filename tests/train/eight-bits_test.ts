/** Two ranks that exchange in 8 bits, both in this process. */
import { assert, assertEquals } from "@std/assert";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { runStage } from "../../train/run/run-stage.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { ranksInProcess } from "../kernels/ranks/in-process.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { type RankedRun, record, stageOf } from "./ranks-program.ts";

const gpu = await openTestGpu();

const SAVED = 4;
const TRAINING = {
  ...{ steps: 12, checkpointEvery: SAVED, validateEvery: SAVED },
  exchange: "int8",
} as const;
/**
 * Of a loss. What is rounded is off by up to 1/254 of its block's largest, in both directions: these
 * steps came within 3.5e-5, and another driver may draw other roundings. A learning rate that is 1 %
 * smaller is off by 1e-4, and one of zero by 1e-2.
 */
const ROUNDING = 1e-4;

/** Runs a stage on two ranks. @returns each one's losses, and the bits of all weights that it has then */
function train(run: RankedRun): Promise<{ losses: number[][]; weights: Uint32Array[] }[]> {
  return Promise.all(
    ranksInProcess(2).map(async (ranks) => {
      const stage = await stageOf(gpu, run);
      const losses: number[][] = [];
      await runStage(stage, { ranks, onStep: ({ step, loss }) => losses.push([step, loss]) });
      const weights: Uint32Array[] = [];
      for (const tensor of stage.parameters.tensors) {
        const values = await download(gpu, tensor);
        weights.push(new Uint32Array(values.buffer));
        if (!tensor.half) continue;
        const { buffer } = await download(gpu, tensor.half, 0, Math.ceil(tensor.size / 2));
        const halves = new Float16Array(buffer, 0, tensor.size);
        assertEquals(Array.from(halves), Array.from(Float16Array.from(values)), tensor.name);
      }
      stage.parameters.destroy();
      return { losses, weights };
    }),
  );
}

/** Undoes a run to its first checkpoint. */
async function goBack(dir: string): Promise<void> {
  for (const { name } of [...Deno.readDirSync(`${dir}/checkpoints`)]) {
    if (Number(name.slice(5)) > SAVED) {
      await Deno.remove(`${dir}/checkpoints/${name}`, { recursive: true });
    }
  }
}

function assertClose(what: string, losses: number[][], expected: number[][]): void {
  assertEquals(losses.length, expected.length, what);
  losses.forEach(([step, loss], i) => {
    const error = Math.abs(loss / expected[i][1] - 1);
    assert(error <= ROUNDING, `${what}, step ${step}: off by ${error.toExponential(1)}`);
  });
}

for (const name of ["f32", "mixed"] as const) {
  Deno.test(`two ranks in ${name} that exchange in 8 bits have the same weights, and one rank's losses`, () =>
    inTemporaryFolder(async (dir) => {
      const alone = await record(gpu, { name, dir: `${dir}/alone`, training: TRAINING });
      const run = { name, dir: `${dir}/run`, training: TRAINING };
      const [first, second] = await train(run);
      assertClose("two ranks", first.losses, alone.steps);
      assertEquals(second, first, "the same bits on both ranks");

      await goBack(run.dir);
      const [resumed] = await train(run);
      assertEquals(resumed.losses, first.losses.slice(SAVED));
      assertEquals(resumed.weights, first.weights, "the same bits behind a checkpoint");

      await goBack(run.dir);
      const { steps } = await record(gpu, run);
      assertClose("one rank after two", steps, alone.steps.slice(SAVED));
    }));
}

Deno.test("a gradient that is not finite on one of two ranks in 8 bits changes no weight of either", async () => {
  for (const bad of [NaN, Infinity]) {
    await Promise.all(
      ranksInProcess(2).map(async (ranks) => {
        const { parameters, initialWeights, source, room, training } = await stageOf(gpu, {
          name: "f32",
          dir: "none",
        });
        const options = { ...training, ...room, ranks, exchange: "int8" } as const;
        const step = await TrainingStep.plan(gpu, parameters, options);
        await step.load(() => parameters.load(gpu, initialWeights!));
        const weights = async () => {
          await step.settle();
          return await Promise.all(parameters.tensors.map((tensor) => download(gpu, tensor)));
        };
        const before = await weights();
        // Both the first rank's, who takes it, and the second's own.
        const [first, last] = [parameters.tensors[0], parameters.tensors.at(-1)!];
        const { gradient } = bad === Infinity ? first : last;
        if (ranks.rank === 1) upload(gpu, gradient!, Float32Array.of(bad));
        const { finite } = await step.run(source.next(), 1e-3, 1);
        assert(!finite, `${bad} on rank 1`);
        assertEquals(await weights(), before);
        const next = await step.run(source.next(), 1e-3, 2);
        assert(next.finite, "gradients were set to zero");
        assert((await weights()).some((values, i) => values.some((x, j) => x !== before[i][j])));
        step.destroy();
        parameters.destroy();
      }),
    );
  }
});
