/** Ranks under a real mpirun: what they gather and exchange, and how they end, whatever happens. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ensureMpi, mpirun, program, type ProgramOptions, Run, sleep } from "./mpirun.ts";

/** Seconds of patience in tests of failures, and milliseconds in which all must have ended. */
const patience = 3;
const ENDED = 15_000;
/** How many ranks run where one of them is struck. */
const ranks = 3;

await ensureMpi();

Deno.test("one rank, under mpirun or not, is alone and loads no MPI", async () => {
  for (const run of [mpirun(1, "collectives"), new Run(program("collectives"))]) {
    assertEquals(await run.end(), 0, await run.stderr);
    const [{ rank, size, hostRanks, mpi }] = run.lines;
    assertEquals({ rank, size, hostRanks, mpi }, { rank: 0, size: 1, hostRanks: [0], mpi: false });
  }
});

// 1,000 rounds of numbers, long texts, and bytes between all pairs and from each to all.
const small = { pieceBytes: 65_536, pieces: 4 };
for (
  const [name, ranks, options] of [
    ["2 ranks of a host", 2, small],
    ["3 ranks of a host, larger pieces", 3, {}],
    ["4 ranks of a host", 4, small],
    ["3 hosts of a rank", 3, { ranksPerHost: 1 }],
    ["2 hosts of 2 ranks", 4, { ...small, ranksPerHost: 2 }],
  ] satisfies [string, number, ProgramOptions][]
) {
  Deno.test(`${name} gather in order and exchange bytes unchanged`, async () => {
    const run = mpirun(ranks, "collectives", options);
    assertEquals(await run.end(), 0, JSON.stringify(run.failures) + await run.stderr);
    const places = run.lines.map(({ rank, hostRanks }) => [rank, hostRanks!.length]);
    const perHost = (options as ProgramOptions).ranksPerHost ?? ranks;
    assertEquals(places.sort(), Array.from({ length: ranks }, (_, rank) => [rank, perHost]));
  });
}

Deno.test("a rank that fails, or that runs other steps, ends all with one message", async () => {
  const cases: [string, ProgramOptions, RegExp][] = [
    ["fail", {}, /^Rank 1 on host \S+: the disk is full$/],
    ["fail", { ranksPerHost: 1 }, /^Rank 1 on host \S+: the disk is full$/],
    ["disagree", {}, /gathers (text|numbers) while rank \d gathers (text|numbers)/],
    ["lengths", {}, /^Rank 0 on host \S+ gives a piece of 99999 bytes where rank 1 takes 100000/],
  ];
  await Promise.all(cases.map(async ([mode, options, message]) => {
    const run = mpirun(2, mode, { patience, ...options });
    assertEquals(await run.end(), 1);
    const { failed, told } = run.failures;
    assertEquals(failed, [told[0], told[0]], mode);
    assertEquals(told.length, 1, mode);
    assertMatch(told[0], message);
  }));
});

Deno.test("a rank that fails while the one that tells stands still is told of all the same", async () => {
  const run = mpirun(2, "busy", { patience });
  assertEquals(await run.end(), 1);
  assertMatch(run.failures.told.join(), /^Rank 1 on host \S+: the disk is full$/);
});

/** Sends a signal to a rank at a random moment; the others must end by themselves. */
async function strike(
  signal: Deno.Signal,
  options: ProgramOptions,
  message: RegExp,
  env = {},
  victim = Math.floor(Math.random() * ranks),
) {
  const run = mpirun(ranks, "work", { patience, ...options }, env);
  const pids = await run.pids(ranks);
  const delay = Math.random() * 1000;
  await sleep(delay);
  const struck = performance.now();
  Deno.kill(pids[victim], signal);
  await run.end();
  const what = `${signal} of rank ${victim} after ${delay.toFixed(0)} ms`;
  assert(performance.now() - struck < ENDED, what);
  const { failed, told } = run.failures;
  assertEquals(told.length, 1, what);
  assertMatch(told[0], message, what);
  assertStringIncludes(told[0], `Rank ${victim} on host`, what);
  // Some may have been ended by mpirun before they could say so.
  assert(failed.length > 0 && failed.every((reason) => reason === told[0]), what);
}

/** Keeps mpirun from ending the others when one has died, so that hosts notice it themselves. */
const unaided = { OMPI_MCA_orte_enable_recovery: "1" };

Deno.test("a rank that is killed or stopped at any moment ends the others", async () => {
  await Promise.all([
    strike("SIGKILL", {}, /has died: its process \d+ is gone/),
    strike("SIGSTOP", {}, /hangs: its process \d+ has not answered for 3 s/),
  ]);
  await strike("SIGKILL", {}, /has died: its process \d+ is gone/);
});

Deno.test("a host that is lost or hangs ends the others", async () => {
  await Promise.all([
    // Without rank 0, two hosts see the loss at once, and still one of them tells it.
    strike("SIGKILL", { ranksPerHost: 1 }, /does not answer|MPI error/, unaided, 0),
    strike("SIGSTOP", { ranksPerHost: 1 }, /does not answer/),
  ]);
});

Deno.test("ranks end that stand still, or wait for something else than ranks", async () => {
  const stuck = mpirun(2, "stuck", { patience });
  const deaf = mpirun(2, "deaf", { patience }, unaided);
  const computes = mpirun(2, "computes", { patience });
  await stuck.end();
  const { failed, told } = stuck.failures;
  assertEquals(failed, told);
  assertMatch(told.join(), /^Rank 1 on host \S+ hangs: its process \d+ has not answered for 3 s/);
  await deaf.end();
  assertMatch(deaf.failures.told.join(), /^Rank 1 on host \S+ has died/);
  assertEquals(await computes.end(), 0, "a rank whose driver computes does not hang");
});

Deno.test("too little shared memory is told with the sizes", async () => {
  const namespace = Deno.uid() === 0 ? "-m" : "-Urm";
  const script = 'mount -t tmpfs -o size=2m tmpfs /dev/shm && exec "$@"';
  const command = new Deno.Command("unshare", {
    args: [namespace, "sh", "-c", script, "sh", ...program("work", { launch: 2 })],
    env: { NO_COLOR: "1" },
  });
  const { code, stderr } = await command.output();
  assertEquals(code, 1);
  assertMatch(
    new TextDecoder().decode(stderr),
    /Host \S+: The ranks of this machine share 129 MiB of \/dev\/shm, which has \d MiB free of 2 MiB/,
  );
});
