/** Ranks under mpirun train what one process trains, in the same files, whatever befalls them. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { MPIRUN_SETTINGS } from "../../kernels/ranks/launch.ts";
import { processExists } from "../../kernels/ranks/linux/libc.ts";
import { descendants } from "../../kernels/ranks/linux/processes.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { Parameters } from "../../model/network/parameters.ts";
import type { Capabilities, Gpu } from "../../kernels/runtime/device.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import { benchmarkModel } from "../../train/bench/benchmark-model.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { ranksInProcess } from "../kernels/ranks/in-process.ts";
import { ensureMpi, sleep } from "../kernels/ranks/mpirun.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { result } from "./child-run.ts";
import { type RankedRun, record, type RunRecord, stageOf } from "./ranks-program.ts";

await ensureMpi();
const gpu = await openTestGpu();

const PROGRAM = new URL("ranks-program.ts", import.meta.url).pathname;
const NAMES = ["f32", "mixed", "recompute", "sft", "dpo"] as const;
/** What so many ranks train. */
const TRAINED: Record<number, readonly (typeof NAMES[number])[]> = {
  1: NAMES,
  2: ["f32", "mixed", "dpo"],
  3: ["mixed", "recompute", "sft"],
  4: NAMES,
};
/** Of a loss: sums over ranks are taken in another order than those over micro-batches. */
const ROUNDING = 1e-5;

/** Starts runs, one after the other, by so many ranks. */
function start(ranks: number, runs: RankedRun[]): Deno.ChildProcess {
  return new Deno.Command("mpirun", {
    args: [
      ...["-np", String(ranks), Deno.execPath(), "run", "--allow-all", "--no-check"],
      ...[PROGRAM, JSON.stringify(runs)],
    ],
    env: MPIRUN_SETTINGS,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function together(ranks: number, runs: RankedRun[]): Promise<RunRecord[]> {
  const { code, stdout, stderr } = await start(ranks, runs).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
}

function assertClose(what: string, { steps, validations }: RunRecord, expected: RunRecord): void {
  const all = { steps: [steps, expected.steps], validations: [validations, expected.validations] };
  for (const [kind, [ours, theirs]] of Object.entries(all)) {
    assertEquals(ours.map(([step]) => step), theirs.map(([step]) => step), `${what}: ${kind}`);
    ours.forEach(([step, loss], i) => {
      const error = Math.abs(loss - theirs[i][1]) / theirs[i][1];
      assert(error <= ROUNDING, `${what}, ${kind}, step ${step}: off by ${error.toExponential(1)}`);
    });
  }
}

/** A checkpoint without its numbers: names and sizes of files, and headers and texts in full. */
async function layout(dir: string, step: number): Promise<Record<string, unknown>> {
  const folder = `${dir}/checkpoints/step-${String(step).padStart(7, "0")}`;
  const files: Record<string, unknown> = {};
  for await (const { name } of Deno.readDir(folder)) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    const header = name.endsWith(".safetensors")
      ? 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))
      : name === "checksums.json"
      ? 0
      : bytes.length;
    files[name] = [bytes.length, bytes.slice(0, header)];
  }
  return files;
}

/** Undoes a run to one of its checkpoints. */
async function goBack(dir: string, step: number): Promise<void> {
  for (const { name } of [...Deno.readDirSync(`${dir}/checkpoints`)]) {
    if (Number(name.slice(5)) > step) {
      await Deno.remove(`${dir}/checkpoints/${name}`, { recursive: true });
    }
  }
}

Deno.test("the 1.1 B model's memory is shared out, as is told before anything is allocated", async () => {
  const { config } = await benchmarkModel(false);
  const capabilities: Capabilities = {
    ...{ name: "a GPU", implementation: "dawn", cpu: false, f16: true, tensorCores: true },
    ...{ maxBindingBytes: 2 ** 31 - 4, maxBufferBytes: 2 ** 36, timestamps: true },
  };
  const planned = async (size: number, exchange: ExchangeFormat = "f32"): Promise<number> => {
    let bytes = 0;
    const enough = new Error("nothing is to be allocated");
    await assertRejects(
      () =>
        TrainingStep.plan(
          { capabilities } as Gpu,
          new Parameters(config, true),
          {
            ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1 },
            ...{ tokens: 2048, sequences: 1, ranks: { ...aloneOn("here"), size }, exchange },
          },
          (memory) => {
            bytes = totalBytes(memory);
            throw enough;
          },
        ),
      Error,
      enough.message,
    );
    return Number((bytes / 1e9).toFixed(1));
  };
  assertEquals([await planned(1), await planned(2), await planned(8)], [20.9, 15.6, 11.4]);
  assertEquals([await planned(2, "bf16"), await planned(2, "int8")], [15.6, 16.6]);
});

Deno.test("ranks free all that a step has allocated, and the parameters the rest", async () => {
  const buffers = new Set<GPUBuffer>();
  const { device } = gpu;
  device.createBuffer = (descriptor) => {
    const buffer = GPUDevice.prototype.createBuffer.call(device, descriptor);
    buffers.add(buffer);
    buffer.destroy = () => {
      buffers.delete(buffer);
      GPUBuffer.prototype.destroy.call(buffer);
    };
    return buffer;
  };
  await Promise.all(
    ranksInProcess(2).map(async (ranks) => {
      const { parameters, initialWeights, source, room, training } = await stageOf(gpu, {
        name: "mixed",
        dir: "none",
      });
      const step = await TrainingStep.plan(gpu, parameters, { ...training, ...room, ranks });
      await step.load(() => parameters.load(gpu, initialWeights!));
      await step.run(source.next(), 1e-3, 1);
      await step.release();
      step.destroy();
      parameters.destroy();
    }),
  );
  Reflect.deleteProperty(device, "createBuffer");
  assertEquals([...buffers].map(({ label }) => label), []);
});

Deno.test("2, 3 and 4 ranks train as one does, in every stage, and a run may change hands", () =>
  inTemporaryFolder(async (dir) => {
    const runs = (ranks: number): RankedRun[] =>
      TRAINED[ranks].map((name) => ({ name, dir: `${dir}/${name}-${ranks}` }));
    const alone = new Map<string, RunRecord>();
    for (const run of runs(1)) alone.set(run.name, await record(gpu, run));
    for (const ranks of [2, 3, 4]) {
      const again: RankedRun = { name: "mixed", dir: `${dir}/again-${ranks}` };
      const ours = await together(ranks, [...runs(ranks), ...ranks === 4 ? [] : [again]]);
      for (const [i, { name, dir: folder }] of runs(ranks).entries()) {
        assertClose(`${ranks} ranks, ${name}`, ours[i], alone.get(name)!);
        assertEquals(await layout(folder, 30), await layout(`${dir}/${name}-1`, 30), name);
        if (name === "mixed" && ranks < 4) {
          assertEquals(ours.at(-1), ours[i], "the same bits every time");
        }
      }
    }

    // Begun by 4, gone on with by 1, ended by 3.
    const run = { name: "f32" as const, dir: `${dir}/f32-4` };
    const expected = alone.get("f32")!;
    await goBack(run.dir, 10);
    const second = await record(gpu, run);
    assertClose("1 rank after 4", second, {
      ...expected,
      steps: expected.steps.slice(10),
      validations: expected.validations.slice(1),
    });
    await goBack(run.dir, 20);
    const [third] = await together(3, [run]);
    assertClose("3 ranks after 1", third, {
      ...expected,
      steps: expected.steps.slice(20),
      validations: expected.validations.slice(2),
    });
    assertEquals(await layout(run.dir, 30), await layout(`${dir}/f32-1`, 30));
  }));

Deno.test("ranks killed at any moment, or stopped by one of them, go on to the same bits", () =>
  inTemporaryFolder(async (dir) => {
    const training = { steps: 24, checkpointEvery: 2 };
    const whole: RankedRun = { name: "mixed", dir: `${dir}/whole`, training };
    await together(2, [whole]);
    const run: RankedRun = { ...whole, dir: `${dir}/run` };
    await Deno.mkdir(`${run.dir}/checkpoints`, { recursive: true });
    const measured = () => readMetrics(`${run.dir}/metrics.jsonl`).at(-1)?.step ?? 0;
    const isSaving = () =>
      [...Deno.readDirSync(`${run.dir}/checkpoints`)].some(({ name }) =>
        name.includes(".partial-")
      );
    const moments: [Deno.Signal, () => boolean][] = [
      ["SIGKILL", () => measured() >= 3],
      ["SIGKILL", () => measured() >= 6 && isSaving()],
      ["SIGTERM", () => measured() >= 11],
    ];
    for (const [signal, hasCome] of moments) {
      const child = start(2, [run]);
      const output = child.output();
      let isRunning = true;
      child.status.then(() => isRunning = false);
      while (isRunning && !hasCome()) await sleep(1);
      assert(isRunning, "the run ended before the moment came");
      const ranks = descendants(child.pid).filter(({ name }) => name === "deno");
      const victim = ranks[Math.floor(Math.random() * ranks.length)];
      const struck = performance.now();
      Deno.kill(victim.pid, signal);
      const { code, stdout } = await output;
      while (ranks.some(({ pid }) => processExists(pid))) {
        assert(performance.now() - struck < 60_000, "all end within a minute");
        await sleep(50);
      }
      assertEquals(code === 0, signal === "SIGTERM");
      if (code === 0) assert(!JSON.parse(new TextDecoder().decode(stdout)).isComplete);
    }
    await together(2, [run]);
    const ended = await result(run.dir, 24);
    const expected = await result(whole.dir, 24);
    // The step at which it was stopped was validated, whether or not it was its turn.
    const losses = ({ losses }: typeof ended) => losses.map(([step, loss]) => [step, loss]);
    assertEquals({ ...ended, losses: losses(ended) }, { ...expected, losses: losses(expected) });
  }));
