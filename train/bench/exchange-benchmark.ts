import type { Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Traffic } from "../../kernels/sharding/reduce-scatter.ts";
import { writableBuffers } from "../../kernels/sharding/staging.ts";
import { type ExchangeTimes, median } from "./step-benchmark.ts";

/** As in the exchange: bytes of a chunk, and chunks under way each way. */
const CHUNK_BYTES = 16 * 2 ** 20;
const DEPTH = 8;
/** How often each part is timed, after a first time that does not count. */
const ROUNDS = 5;

/**
 * Seconds in which the GPU's queue copies so many bytes out to the host, and in from where that puts
 * them.
 */
export async function timeGpuCopies(gpu: Gpu, bytes: Traffic): Promise<number> {
  const { device } = gpu;
  const buffer = (usage: GPUBufferUsageFlags) =>
    device.createBuffer({ label: "exchange benchmark", size: CHUNK_BYTES, usage });
  const { MAP_READ, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const onGpu = buffer(COPY_DST | COPY_SRC);
  const outgoing = Array.from({ length: DEPTH }, () => buffer(MAP_READ | COPY_DST));
  const incoming = await writableBuffers(gpu, DEPTH, CHUNK_BYTES);
  const seconds = await medianSeconds(async () => {
    const encoder = device.createCommandEncoder();
    for (const [i, length] of chunks(bytes.out)) {
      encoder.copyBufferToBuffer(onGpu, 0, outgoing[i % DEPTH], 0, length);
    }
    for (const [i, length] of chunks(bytes.in)) {
      encoder.copyBufferToBuffer(incoming[i % DEPTH], 0, onGpu, 0, length);
    }
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  });
  for (const each of [onGpu, ...outgoing, ...incoming]) each.destroy();
  return seconds;
}

/**
 * Seconds in which ranks exchange the bytes of gradients and of weights where no GPU takes part: copies
 * within the host's memory, and network. All ranks call it.
 */
export async function timeHostCopies(
  ranks: Communicator,
  bytes: { readonly gradients: Traffic; readonly weights: Traffic },
): Promise<ExchangeTimes> {
  const others = Array.from({ length: ranks.size }, (_, of) => of).filter((of) =>
    of !== ranks.rank
  );
  const memory = () => Array.from({ length: DEPTH }, () => new Uint8Array(CHUNK_BYTES).fill(1));
  const own = memory();
  const taken = others.map(memory);
  // As many bytes on all ranks.
  const most = await ranks.allGather([bytes.gradients.out, bytes.weights.out]);
  const gradients = Math.max(...most.map(([each]) => each)) / others.length;
  const weights = Math.max(...most.map(([, each]) => each));
  const take = (total: number) =>
    others.map((from, place) =>
      inTurn(total, (i, length) => ranks.take(taken[place][i % DEPTH].subarray(0, length), from))
    );
  const give = (total: number, to: readonly number[]) =>
    inTurn(total, (i, length) => ranks.give(own[i % DEPTH].subarray(0, length), to));
  const together = (exchange: () => Promise<void>[]) =>
    medianSeconds(async () => {
      await Promise.all(exchange());
      await ranks.barrier();
    });
  return {
    gradients: await together(() => [
      ...others.map((to) => give(gradients, [to])),
      ...take(gradients),
    ]),
    weights: await together(() => [give(weights, others), ...take(weights)]),
  };
}

/** Number and length of the chunks of so many bytes. */
function chunks(bytes: number): [number, number][] {
  const whole = 4 * Math.ceil(bytes / 4);
  return Array.from(
    { length: Math.ceil(whole / CHUNK_BYTES) },
    (_, i) => [i, Math.min(CHUNK_BYTES, whole - i * CHUNK_BYTES)],
  );
}

/** Starts a transfer of each chunk, a few of them under way at once. */
async function inTurn(
  bytes: number,
  start: (i: number, length: number) => Promise<void>,
): Promise<void> {
  const underWay: Promise<void>[] = [];
  for (const [i, length] of chunks(bytes)) {
    await underWay[i - DEPTH];
    underWay.push(start(i, length));
    underWay[i].catch(() => {}); // thrown where it is waited for
  }
  await Promise.all(underWay);
}

async function medianSeconds(run: () => Promise<void>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const began = performance.now();
    await run();
    seconds.push((performance.now() - began) / 1000);
  }
  return median(seconds.slice(1));
}
