/**
 * What the tests of ranks run under mpirun: `rank-program.ts MODE OPTIONS`. Prints one line of JSON
 * for each thing that a test wants to know.
 */
import { StopSignals } from "../../../kernels/host/stop-signals.ts";
import { type Communicator, RanksFailed } from "../../../kernels/ranks/communicator.ts";
import { connectRanks } from "../../../kernels/ranks/connect.ts";
import { enterRank } from "../../../kernels/ranks/enter.ts";
import { startedRank } from "../../../kernels/ranks/environment.ts";
import { launchRanks } from "../../../kernels/ranks/launch.ts";
import { UserError } from "../../../kernels/runtime/user-error.ts";
import type { ProgramOptions } from "./mpirun.ts";

const ROUNDS = 1000;
/** Bytes that fit no piece, message or queue: none, one, and around the sizes used in the tests. */
const SIZES = [0, 1, 13, 16_383, 16_384, 65_535, 65_536, 65_537, 300_007, 1_048_577, 9_000_011];

const MODES: Record<string, (ranks: Communicator) => Promise<void>> = {
  collectives: async (ranks) => {
    await gatherManyRounds(ranks);
    await exchangeAwkwardSizes(ranks);
  },
  work: workForEver,
  fail: async (ranks) => {
    const work = workForEver(ranks);
    if (ranks.rank !== 1) return await work;
    work.catch(() => {});
    await sleep(300);
    throw new UserError("the disk is full");
  },
  disagree: async (ranks) => {
    if (ranks.rank === 1) await ranks.allGatherText("text");
    else await ranks.allGather([1]);
  },
  lengths: async (ranks) => {
    const bytes = new Uint8Array(100_000);
    if (ranks.rank === 0) await ranks.give(bytes.subarray(1), [1]);
    if (ranks.rank === 1) await ranks.take(bytes, 0);
    await ranks.barrier();
  },
  // The main thread stands still: nothing but the clock ends this.
  stuck: async (ranks) => {
    if (ranks.rank === 1) { while (true); }
    await ranks.barrier();
  },
  // JavaScript waits for a driver that computes on other threads, twice as long as others are patient.
  computes: async (ranks) => {
    if (ranks.rank === 1) {
      const busy =
        "const end = performance.now() + 8000; while (performance.now() < end); close();";
      new Worker(`data:text/javascript,${encodeURIComponent(busy)}`, { type: "module" });
      await sleep(500);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000);
    }
    await ranks.barrier();
  },
  // Rank 0, which tells, stands still while another one fails.
  busy: async (ranks) => {
    if (ranks.rank === 1) {
      await sleep(300);
      throw new UserError("the disk is full");
    }
    const end = performance.now() + 4000;
    while (performance.now() < end);
    await ranks.barrier();
  },
  // Rank 0 waits for something else, which never comes.
  deaf: async (ranks) => {
    if (ranks.rank === 1) Deno.exit(3);
    await new Promise((resolve) => setTimeout(resolve, 1e9));
  },
  interrupted: async (ranks) => {
    // Ends when the signal has reached all.
    let stop = 0;
    Deno.addSignalListener("SIGINT", () => stop = 130);
    Deno.addSignalListener("SIGTERM", () => stop = 143);
    while (true) {
      const stops = (await ranks.allGather([stop])).flat();
      if (stops.every((status) => status > 0)) {
        say({ rank: ranks.rank, stops });
        await ranks.close();
        Deno.exit(stop);
      }
      await sleep(20);
    }
  },
};

async function gatherManyRounds(ranks: Communicator): Promise<void> {
  const { rank, size } = ranks;
  for (let round = 0; round < ROUNDS; round++) {
    const gathered = await ranks.allGather([rank, round / 3, ...Array(rank).fill(round)]);
    for (let other = 0; other < size; other++) {
      const expected = [other, round / 3, ...Array(other).fill(round)];
      check(String(gathered[other]) === String(expected), `round ${round}: ${gathered[other]}`);
    }
  }
  // Longer than a part, and not all of one length.
  const numbers = await ranks.allGather(Array.from({ length: 500 * rank }, (_, i) => i + rank));
  check(numbers.every((all, other) => all.length === 500 * other), "counts");
  check(numbers.every((all, other) => all.every((n, i) => n === i + other)), "values");
  const text = (other: number) => `钢铁 ${other} `.repeat(1000 * other);
  const texts = await ranks.allGatherText(text(rank));
  check(texts.length === size && texts.every((own, other) => own === text(other)), "texts");
  // Calls that overlap keep their order.
  const overlapping = await Promise.all([ranks.allGather([1]), ranks.allGather([2])]);
  check(overlapping.every((all, i) => all.every(([n]) => n === i + 1)), "overlapping calls");
}

/** Every pair both ways at once, and then from one to all, with other bytes each time. */
async function exchangeAwkwardSizes(ranks: Communicator): Promise<void> {
  const { rank, size } = ranks;
  const others = Array.from({ length: size }, (_, i) => i).filter((other) => other !== rank);
  for (const bytes of SIZES) {
    const taken = others.map(() => new Uint8Array(bytes));
    await Promise.all([
      ...others.map((to) => ranks.give(randomBytes(rank * size + to, bytes), [to])),
      ...others.map((from, i) => ranks.take(taken[i], from)),
    ]);
    others.forEach((from, i) => check(same(taken[i], from * size + rank), `pairs, ${bytes} bytes`));
  }
  const [taken] = await Promise.all([
    takeAll(),
    ...SIZES.map((bytes) => ranks.give(randomBytes(rank, bytes), others)),
  ]);
  others.forEach((from, i) => check(taken[i].every((b) => same(b, from)), `from ${from} to all`));
  await ranks.barrier();

  async function takeAll(): Promise<Uint8Array[][]> {
    const ranges = others.map(() => SIZES.map((bytes) => new Uint8Array(bytes)));
    await Promise.all(others.flatMap((from, i) => ranges[i].map((r) => ranks.take(r, from))));
    return ranges;
  }
}

/** Like steps of training: large bytes around the ring, then a few numbers. */
async function workForEver(ranks: Communicator): Promise<void> {
  const { rank, size } = ranks;
  const given = new Uint8Array(3_000_001);
  const taken = new Uint8Array(given.length);
  while (true) {
    await Promise.all([
      ranks.give(given, [(rank + 1) % size]),
      ranks.take(taken, (rank + size - 1) % size),
    ]);
    await ranks.allGather([rank]);
  }
}

/** Words of a generator (xorshift) that starts from a seed. */
function randomBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let word = seed * 2654435761 + 1;
  for (let i = 0; i < words.length; i++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[i] = word;
  }
  return new Uint8Array(words.buffer, 0, length);
}

function same(bytes: Uint8Array, seed: number): boolean {
  const expected = randomBytes(seed, bytes.length);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== expected[i]) return false;
  return true;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new UserError(`wrong: ${what}`);
}

function say(what: unknown): void {
  console.log(JSON.stringify(what));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const [mode, json] = Deno.args;
const { launch, enter, handlesTermination, ...options }: ProgramOptions = JSON.parse(json);
const started = startedRank();
if (launch && !started) {
  using stop = new StopSignals(() => {}, () => {});
  stop.listen();
  Deno.exit(await launchRanks(launch, stop.signal));
}
if (enter && started) enterRank(started);
const ranks = await connectRanks({
  ...options,
  handlesTermination: () => handlesTermination ?? false,
  onFailure: (message) => say({ told: message }),
});
say({
  rank: ranks.rank,
  size: ranks.size,
  hostRanks: ranks.hostRanks,
  pid: Deno.pid,
  mpi: Deno.readTextFileSync("/proc/self/maps").includes("libmpi"),
});
try {
  await MODES[mode](ranks);
  await ranks.close();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  const { message } = error instanceof RanksFailed ? error : await ranks.fail(error.message);
  say({ rank: ranks.rank, failed: message });
  Deno.exit(1);
}
