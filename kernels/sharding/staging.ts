import type { Communicator } from "../ranks/communicator.ts";
import type { Gpu } from "../runtime/device.ts";
import { roundUpTo, SECTION_WORDS } from "./shards.ts";

/** Words of a chunk between two ranks: 16 MiB. With more ranks chunks are shorter, down to 4 MiB. */
const CHUNK_WORDS = 4 * 2 ** 20;
const MANY_RANKS_WORDS = 2 ** 20;
/** Of a small model, chunks so short that a rank has about so many, but not shorter than this. */
const CHUNKS = 16;
const LEAST_WORDS = 1024;
/** Chunks under way at once, each way. */
export const DEPTH = 8;

/**
 * The most words of a chunk, a multiple of 64.
 *
 * @param elements of a rank's shard
 */
export function chunkWords(ranks: number, elements: number): number {
  const most = Math.max(MANY_RANKS_WORDS, CHUNK_WORDS / (ranks - 1));
  const few = Math.max(LEAST_WORDS, elements / CHUNKS);
  return roundUpTo(SECTION_WORDS, Math.floor(Math.min(most, few)));
}

/** The most bytes of the GPU's own memory that are for the CPU to write. */
const MOST_WRITTEN_BYTES = 2 ** 30;

/** Rounds of chunks under way at once from so many ranks. */
function roundsFrom(others: number): number {
  return Math.max(2, Math.floor(DEPTH / others));
}

/** Bytes of the GPU's own memory that so many buffers take; 0 where that would be too much. */
function writtenBytes(count: number, bytes: number): number {
  return count * bytes > MOST_WRITTEN_BYTES ? 0 : count * bytes;
}

/**
 * Bytes of the GPU's own memory for what it takes from other ranks; 0 where the host's has to do.
 *
 * @param words the longest chunk
 */
export function incomingBytes(ranks: number, words: number): number {
  return writtenBytes(roundsFrom(ranks - 1) * (ranks - 1), 4 * words);
}

/**
 * Buffers for the CPU to write and the GPU's queue to copy from. Where the host can write into the
 * GPU's own memory they lie there: the CPU's bytes cross the bus beside shaders, and the queue copies
 * at the speed of that memory. If there is no room for them, as on a card that shows the CPU little
 * of its memory, or if they are too many, they lie in the host's.
 */
export async function writableBuffers(
  { device, host }: Pick<Gpu, "device" | "host">,
  count: number,
  bytes: number,
): Promise<GPUBuffer[]> {
  const make = (more: GPUBufferUsageFlags) => {
    const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC | more;
    return Array.from(
      { length: count },
      () => device.createBuffer({ label: "exchange", size: bytes, usage }),
    );
  };
  if (!host.hostWrites || writtenBytes(count, bytes) === 0) return make(0);
  device.pushErrorScope("out-of-memory");
  const buffers = make(GPUBufferUsage.STORAGE);
  if (!await device.popErrorScope()) return buffers;
  for (const buffer of buffers) buffer.destroy();
  return make(0);
}

/** A chunk that another rank gives. */
export interface Incoming {
  /** The rank that gives it. */
  readonly from: number;
  /** Its length. */
  readonly words: number;
}

interface Outgoing {
  readonly buffer: GPUBuffer;
  /** Settled when what was in it has been given. */
  given: Promise<void>;
}

/**
 * The mapped buffers through which numbers go from the GPU to other ranks and back. They are made
 * once and kept, since touching fresh memory is slower than all else.
 */
export class Staging {
  readonly #outgoing: readonly Outgoing[];
  #turn = 0;
  #isDestroyed = false;
  /** Settled when all gives before have begun. */
  #order: Promise<unknown> = Promise.resolve();

  /** @param incoming by round and by place of the rank that gives */
  private constructor(
    private readonly ranks: Communicator,
    outgoing: readonly GPUBuffer[],
    private readonly incoming: readonly (readonly GPUBuffer[])[],
  ) {
    this.#outgoing = outgoing.map((buffer) => ({ buffer, given: Promise.resolve() }));
  }

  /**
   * Makes the buffers.
   *
   * @param words the longest chunk
   */
  static async of(gpu: Gpu, ranks: Communicator, words: number): Promise<Staging> {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const outgoing = Array.from(
      { length: DEPTH },
      () => gpu.device.createBuffer({ label: "exchange", size: 4 * words, usage }),
    );
    const others = ranks.size - 1;
    const rounds = roundsFrom(others);
    const incoming = await writableBuffers(gpu, rounds * others, 4 * words);
    return new Staging(
      ranks,
      outgoing,
      Array.from({ length: rounds }, (_, i) => incoming.slice(i * others, (i + 1) * others)),
    );
  }

  /** A buffer to copy a chunk into; to be handed to {@linkcode give} once the copy is submitted. */
  async next(): Promise<GPUBuffer> {
    const slot = this.#outgoing[this.#turn % DEPTH];
    await slot.given;
    this.#requireBuffers();
    return slot.buffer;
  }

  /**
   * Gives the chunk that was copied into the buffer of the last call of {@linkcode next}. It does not
   * wait: {@linkcode allGiven} does.
   */
  give(words: number, to: readonly number[]): void {
    const slot = this.#outgoing[this.#turn++ % DEPTH];
    const { buffer } = slot;
    const mapped = buffer.mapAsync(GPUMapMode.READ, 0, 4 * words);
    mapped.catch(() => {}); // thrown below
    const begun = this.#order.then(() => mapped);
    this.#order = begun.catch(() => {});
    slot.given = begun
      .then(() => this.ranks.give(new Uint8Array(buffer.getMappedRange(0, 4 * words)), to))
      .then(() => buffer.unmap());
    slot.given.catch(() => {}); // thrown to who waits for the buffer
  }

  /** Waits until everything is given. */
  async allGiven(): Promise<void> {
    await Promise.all(this.#outgoing.map(({ given }) => given));
  }

  /**
   * Takes chunks in rounds: yields the buffers of a round, in its order, when all of its chunks are
   * in them. Copies from these buffers must be submitted before the next round is asked for.
   */
  async *taken(rounds: readonly (readonly Incoming[])[]): AsyncGenerator<readonly GPUBuffer[]> {
    const inTurn = this.incoming.length;
    const underWay: Promise<readonly GPUBuffer[]>[] = [];
    let order: Promise<unknown> = Promise.resolve();
    const begin = (round: number) => {
      const buffers = this.incoming[round % inTurn].slice(0, rounds[round].length);
      // Mapped when the GPU has copied what was in it before.
      const mapped = Promise.all(
        buffers.map((buffer, i) =>
          buffer.mapAsync(GPUMapMode.WRITE, 0, 4 * rounds[round][i].words)
        ),
      );
      mapped.catch(() => {}); // thrown below
      const begun = order.then(() => mapped);
      order = begun.catch(() => {});
      underWay[round] = begun.then(async () => {
        await Promise.all(buffers.map((buffer, i) => {
          const { words, from } = rounds[round][i];
          return this.ranks.take(new Uint8Array(buffer.getMappedRange(0, 4 * words)), from);
        }));
        for (const buffer of buffers) buffer.unmap();
        return buffers;
      });
      underWay[round].catch(() => {}); // thrown in its turn
    };
    for (let round = 0; round < Math.min(inTurn, rounds.length); round++) begin(round);
    for (let round = 0; round < rounds.length; round++) {
      const buffers = await underWay[round];
      this.#requireBuffers();
      yield buffers;
      if (round + inTurn < rounds.length) begin(round + inTurn);
    }
  }

  /** Frees the buffers. */
  destroy(): void {
    this.#isDestroyed = true;
    for (const { buffer } of this.#outgoing) buffer.destroy();
    for (const buffer of this.incoming.flat()) buffer.destroy();
  }

  /** Where giving has failed, taking may still be under way, or the other way round. */
  #requireBuffers(): void {
    if (this.#isDestroyed) throw new Error("the exchange has ended");
  }
}
