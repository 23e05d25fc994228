/** The program as its own launcher: signals, statuses, and what is left when processes are killed. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inTemporaryFolder } from "../../temporary-folder.ts";
import { ensureMpi, program, Run, sleep } from "./mpirun.ts";

const options = { launch: 3, enter: true, patience: 3 };
/** More ranks than the machine may have GPUs: to them, all are hidden already. */
const env = { STEEL_GPUS_HIDDEN: "1" };

await ensureMpi();

Deno.test("a signal to the launcher reaches all ranks, and their status is the launcher's", async () => {
  const signals: [Deno.Signal, number][] = [["SIGINT", 130], ["SIGTERM", 143]];
  await Promise.all(signals.map(async ([signal, status]) => {
    const run = new Run(program("interrupted", { ...options, handlesTermination: true }), env);
    await run.pids(1);
    await sleep(500); // the others have connected too, but may not listen yet
    run.kill(signal);
    assertEquals(await run.end(), status, await run.stderr);
    // Only rank 0 writes.
    assertEquals(run.lines.map(({ rank }) => rank), [0, 0]);
    assertEquals(run.lines[1].stops, [status, status, status]);
  }));
});

Deno.test("ranks end with a launcher or an mpirun that is killed", async () => {
  const killed = new Run(program("work", options), env);
  await killed.pids(1);
  assertEquals(killed.processes().length, 1 + options.launch);
  killed.kill("SIGKILL");
  assertEquals(await killed.end(), 137);
  assertMatch(killed.failures.told.join(), /: the command that started the ranks is gone\.$/);

  const orphaned = new Run(program("work", options), env);
  await orphaned.pids(1);
  const [mpirun] = orphaned.processes();
  assertEquals(mpirun.name, "mpirun");
  Deno.kill(mpirun.pid, "SIGKILL");
  assertEquals(await orphaned.end(), 1);
  assertStringIncludes(await orphaned.stderr, "mpirun was ended by SIGKILL, and the ranks with it");
});

Deno.test("without mpirun it is told how to install it", () =>
  inTemporaryFolder(async (dir) => {
    const run = new Run(program("work", options), { PATH: dir });
    assertEquals(await run.end(), 1);
    assertMatch(await run.stderr, /3 ranks are started by mpirun.*apt-get install .*openmpi-bin/);
  }));

Deno.test("ranks start where a path of libraries is set, and have it", () =>
  inTemporaryFolder(async (dir) => {
    // With such a path Deno itself starts no program, unless it may start any.
    const module = new URL("../../../kernels/ranks/launch.ts", import.meta.url);
    const script = `${dir}/launch.ts`;
    await Deno.writeTextFile(
      script,
      `import { launchRanks } from "${module}";
      const isRank = Deno.env.has("OMPI_COMM_WORLD_RANK") || Deno.env.has("PMI_RANK");
      if (!isRank) Deno.exit(await launchRanks(2, new AbortController().signal));
      console.log(Deno.env.get("LD_LIBRARY_PATH"));`,
    );
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--allow-ffi", "--allow-read", "--allow-run=/usr/bin/mpirun"],
        ...["--allow-env=LD_LIBRARY_PATH,OMPI_COMM_WORLD_RANK,PMI_RANK", script],
      ],
      env: { LD_LIBRARY_PATH: dir },
      stderr: "inherit",
    }).output();
    assertEquals(new TextDecoder().decode(stdout), `${dir}\n`.repeat(2));
  }));

Deno.test("a program started anew sees hidden files empty, in the same process", () =>
  inTemporaryFolder(async (dir) => {
    const [hidden, other] = ["it's hidden", "other"].map((name) => `${dir}/${name}`);
    for (const file of [hidden, other]) await Deno.writeTextFile(file, "seen");
    const module = new URL("../../../kernels/ranks/enter.ts", import.meta.url);
    const code = `import { startWithout } from "${module}";
      if (!Deno.env.has("STEEL_GPUS_HIDDEN")) startWithout([Deno.args[0]]);
      const texts = Deno.args.map((file) => Deno.readTextFileSync(file));
      console.log(JSON.stringify({ pid: Deno.pid, uid: Deno.uid(), texts }));`;
    const run = new Deno.Command(Deno.execPath(), {
      args: ["eval", code, hidden, other],
      stdout: "piped",
    }).spawn();
    const said = JSON.parse(await new Response(run.stdout).text());
    assertEquals(said, { pid: run.pid, uid: Deno.uid(), texts: ["", "seen"] });
    assert((await run.status).success);
    assertEquals(await Deno.readTextFile(hidden), "seen");
  }));
