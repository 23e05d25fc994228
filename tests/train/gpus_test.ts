/** `pretrain --gpus`: a run that is shared out is the run of one GPU, stopped, killed or gone on with. */
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { processExists } from "../../kernels/ranks/linux/libc.ts";
import { descendants } from "../../kernels/ranks/linux/processes.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { ensureMpi } from "../kernels/ranks/mpirun.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { startRun } from "./child-run.ts";
import { tinyRun } from "./tiny-run.ts";

/** Sums in another order, over a few steps that add up their differences. */
const ROUNDING = 1e-5;
const STEPS = 16;

await ensureMpi();

Deno.test("two GPUs stopped by SIGTERM, one of them killed, then one alone: the losses of one GPU", () =>
  inTemporaryFolder(async (dir) => {
    const settings = [
      `--train.steps=${STEPS}`,
      "--train.accumulation=4",
      "--train.validateEvery=99",
    ];
    const args = await tinyRun(dir, ...settings);
    // More ranks than the machine may have GPUs: to them, all are hidden already.
    const env = { STEEL_GPUS_HIDDEN: "1", NO_COLOR: "1" };
    const start = (...more: string[]) => startRun("pretrain", [...args, ...more], dir, env);
    const measured = () => readMetrics(`${dir}/run/metrics.jsonl`);
    const reach = async (step: number) => {
      while ((measured().at(-1)?.step ?? 0) < step) await sleep(5);
    };

    const terminated = start("--gpus=2");
    await reach(1);
    terminated.kill("SIGTERM");
    const { code, stdout } = await terminated.output();
    const said = new TextDecoder().decode(stdout);
    assertEquals(code, 143, said);
    const stopped = Number(/Stopped after step (\d+), which is saved/.exec(said)?.[1]);
    const shared = measured();
    assertEquals(shared.map(({ step, gpus }) => [step, gpus]), numbered(stopped, 2));
    assert(shared.every(({ shareWaited }) => shareWaited > 0 && shareWaited < 1));

    const killed = start("--gpus=2");
    await reach(stopped + 1);
    const ranks = descendants(killed.pid).filter(({ name }) => name === "deno");
    assertEquals(ranks.length, 2);
    Deno.kill(ranks[1].pid, "SIGKILL");
    const failed = await killed.output();
    assert(failed.code > 0);
    const told = new TextDecoder().decode(failed.stderr).split("\n").filter((line) => line !== "");
    assertEquals(told.length, 1, told.join("\n"));
    assertMatch(told[0], /^error: Rank \d on host \S+ has died: its process \d+ is gone\.$/);
    while (ranks.some(({ pid }) => processExists(pid))) await sleep(50);

    const [last, whole] = [start(), start(`--run.dir=${dir}/whole`)];
    for (const run of [last, whole]) {
      const { success, stderr } = await run.output();
      assert(success, new TextDecoder().decode(stderr));
    }
    const losses = measured();
    const expected = readMetrics(`${dir}/whole/metrics.jsonl`);
    assertEquals(losses.map(({ step }) => step), expected.map(({ step }) => step));
    losses.forEach(({ loss }, i) => assertAlmostEquals(loss, expected[i].loss, ROUNDING));
    assertAlmostEquals(losses.at(-1)!.validationLoss, expected.at(-1)!.validationLoss, ROUNDING);
  }));

function numbered(count: number, gpus: number): number[][] {
  return Array.from({ length: count }, (_, i) => [i + 1, gpus]);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
