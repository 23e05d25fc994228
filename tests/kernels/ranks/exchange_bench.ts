/**
 * How fast ranks exchange bytes, as training does: every rank gives each other one its part of the
 * gradients, then its part of the weights to all. To be run on a machine with many cores:
 *
 *     deno run -A tests/kernels/ranks/exchange_bench.ts --bytes=1073741824 --ranks=2,4
 *
 * `--pieceBytes` and `--pieces` change the exchange, `--hosts=1` lets each rank act as a host of its
 * own, so that MPI carries the bytes.
 */
import { parseArgs } from "@std/cli/parse-args";
import type { Communicator } from "../../../kernels/ranks/communicator.ts";
import { connectRanks } from "../../../kernels/ranks/connect.ts";
import { enterRank } from "../../../kernels/ranks/enter.ts";
import { startedRank } from "../../../kernels/ranks/environment.ts";
import { launchRanks } from "../../../kernels/ranks/launch.ts";

const ROUNDS = 7;

const args = parseArgs(Deno.args, {
  string: ["bytes", "ranks", "pieceBytes", "pieces", "hosts", "launched"],
  default: { bytes: String(2 ** 30), ranks: "2,4", pieceBytes: String(4 * 2 ** 20), pieces: "16" },
});

const started = startedRank();
if (started) {
  enterRank(started);
  await measure();
} else {
  const { signal } = new AbortController();
  for (const ranks of args.ranks.split(",").map(Number)) await launchRanks(ranks, signal);
}

async function measure(): Promise<void> {
  const ranks = await connectRanks({
    pieceBytes: Number(args.pieceBytes),
    pieces: Number(args.pieces),
    ranksPerHost: args.hosts === undefined ? undefined : 1,
  });
  const { rank, size } = ranks;
  const others = Array.from({ length: size }, (_, i) => i).filter((other) => other !== rank);
  const partBytes = Math.floor(Number(args.bytes) / size);
  // As staging buffers are: made once, every page touched before.
  const own = new Uint8Array(Number(args.bytes)).fill(rank);
  const taken = others.map(() => new Uint8Array(partBytes).fill(1));
  const part = (of: number) => own.subarray(of * partBytes, (of + 1) * partBytes);

  const reduceScatter = await time(ranks, () => [
    ...others.map((to) => ranks.give(part(to), [to])),
    ...others.map((from, i) => ranks.take(taken[i], from)),
  ]);
  const allGather = await time(ranks, () => [
    ranks.give(part(rank), others),
    ...others.map((from, i) => ranks.take(taken[i], from)),
  ]);
  const start = performance.now();
  for (let round = 0; round < 1000; round++) await ranks.allGather([round]);
  const agreement = performance.now() - start; // of 1,000: in microseconds, of one
  const bytes = partBytes * others.length;
  const rate = (seconds: number) =>
    `${(bytes / seconds / 1e9).toFixed(1)} GB/s (${(1000 * seconds).toFixed(1)} ms)`;
  if (rank === 0) {
    console.log(
      `${size} ranks, each takes ${(bytes / 2 ** 20).toFixed(0)} MiB, pieces of ` +
        `${args.pieceBytes} bytes, ${args.pieces} of them: reduce-scatter ` +
        `${rate(reduceScatter)}, all-gather ${rate(allGather)} into each rank at once; ` +
        `agreement ${agreement.toFixed(0)} µs`,
    );
  }
  await ranks.close();
}

/** Median of several rounds in seconds, the slowest rank's of each, after one to warm up. */
async function time(ranks: Communicator, exchange: () => Promise<void>[]): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    await ranks.barrier();
    const start = performance.now();
    await Promise.all(exchange());
    const times = await ranks.allGather([performance.now() - start]);
    seconds.push(Math.max(...times.flat()) / 1000);
  }
  return seconds.slice(1).sort((a, b) => a - b)[ROUNDS >> 1];
}
