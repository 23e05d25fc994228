import type { HostMemory } from "./host-memory.ts";
import { type HostLinks, TAG } from "./hosts.ts";
import type { Doorbell } from "./linux/doorbell.ts";
import { libc } from "./linux/libc.ts";
import type { Mpi, PendingMessage } from "./mpi.ts";
import { describe, type Watch } from "./watch.ts";
import type { Topology } from "./topology.ts";
import type { Waits } from "./waits.ts";

/** Shorter pieces are copied by JavaScript: starting another thread costs more. */
const SHORT = 16384;
/** Bytes of a message between hosts, and how many of one call are under way at once. */
const MESSAGE_BYTES = 8 * 2 ** 20;
const MESSAGES = 8;

/**
 * Moves large byte ranges between ranks.
 *
 * Within a host, every rank has slots in the shared memory. The giver copies a piece into a slot and
 * announces it in the receiver's queue by the piece's number; the receiver copies it out and puts
 * the number down as emptied, which frees the slot. Pieces of one call are under way together, each
 * copied by a thread of its own (libc's memcpy, called without blocking), as one thread's copies
 * reach a sixth of the host's speed. A rank may fill the queues to all others at once and finds a
 * slot for every entry, so no receiver holds up what goes to another. Each byte is copied twice, once
 * by each side: with two ranks giving and taking at once, a host that copies 60 GB/s in all moves 15
 * into each. (The kernel's copy between processes, process_vm_readv, would need one, but refuses memory
 * that is marked VM_IO, as NVIDIA's driver marks all that it maps.) Deno has 32 threads for such calls.
 *
 * Between hosts, pieces are messages of MPI from and into the ranges themselves.
 */
export class Exchange {
  /** Number of the next piece to and from every place of this host. */
  readonly #given: number[];
  readonly #taken: number[];
  /** Until when calls to, or from, a rank have found their place in its order. */
  readonly #giving = new Map<number, Promise<unknown>>();
  readonly #taking = new Map<number, Promise<unknown>>();
  /** What fills each of this rank's slots: entries of which all must be emptied. */
  readonly #slots: { word: number; number: number }[][];
  /** Copies under way, of all calls. */
  readonly #copies = new Set<Promise<void>>();

  /**
   * One for all exchanges of a rank.
   *
   * @param links to other hosts, if there are any
   */
  constructor(
    private readonly memory: HostMemory,
    private readonly topology: Topology,
    private readonly waits: Waits,
    private readonly watch: Watch,
    private readonly bell: Doorbell,
    private readonly mpi: Mpi,
    private readonly links: HostLinks | undefined,
  ) {
    this.#given = topology.hostRanks.map(() => 0);
    this.#taken = topology.hostRanks.map(() => 0);
    this.#slots = Array.from({ length: memory.shape.pieces }, () => []);
  }

  /** See `Communicator.give`. */
  async give(bytes: Uint8Array, to: readonly number[]): Promise<void> {
    for (const rank of to) this.#checkOther(rank);
    const here = to.filter((rank) => this.#place(rank) >= 0);
    const away = to.filter((rank) => this.#place(rank) < 0);
    await this.#endWithCopies(allOf([
      here.length === 0 ? Promise.resolve() : inOrder(
        this.#giving,
        here,
        (begin) => this.#fill(bytes, here.map((rank) => this.#place(rank)), begin),
      ),
      ...away.map((rank) =>
        inOrder(this.#giving, [rank], (begin) => this.#send(bytes, rank, begin))
      ),
    ]));
  }

  /** See `Communicator.take`. */
  async take(bytes: Uint8Array, from: number): Promise<void> {
    this.#checkOther(from);
    const place = this.#place(from);
    await this.#endWithCopies(inOrder(
      this.#taking,
      [from],
      (begin) => place < 0 ? this.#receive(bytes, from, begin) : this.#empty(bytes, place, begin),
    ));
  }

  /**
   * A call that fails waits for the copies of all others too: who hears of the failure frees memory
   * that these read and write.
   */
  async #endWithCopies(call: Promise<void>): Promise<void> {
    try {
      await call;
    } catch (error) {
      await Promise.allSettled(this.#copies);
      throw error;
    }
  }

  async #copy(to: Uint8Array, from: Uint8Array): Promise<void> {
    const copied = copy(to, from);
    this.#copies.add(copied);
    await copied;
    this.#copies.delete(copied);
  }

  /** Puts a range into slots, piece by piece, and announces each to the places that take it. */
  async #fill(bytes: Uint8Array, to: number[], begin: Begin): Promise<void> {
    const { memory, waits } = this;
    const { words } = memory;
    const from = this.topology.place;
    for (const [start, length] of pieces(bytes.length, memory.shape.pieceBytes)) {
      const numbers = to.map((place) => this.#given[place]++);
      const entries = to.map((place, i) => memory.entry(from, place, numbers[i]));
      await waits.until(() =>
        entries.every(({ emptied }, i) =>
          numbers[i] < memory.queueLength ||
          hasReached(words, emptied, numbers[i] - memory.queueLength)
        )
      );
      const slot = this.#slots.findIndex((uses) =>
        uses.every(({ word, number }) => hasReached(words, word, number))
      );
      this.#slots[slot] = entries.map(({ emptied }, i) => ({ word: emptied, number: numbers[i] }));
      for (const { slot: word, length: lengthWord } of entries) {
        Atomics.store(words, word, slot);
        Atomics.store(words, lengthWord, length);
      }
      const room = memory.bytes.subarray(memory.slot(from, slot), memory.slot(from, slot) + length);
      begin(
        this.#copy(room, bytes.subarray(start, start + length)).then(() => {
          entries.forEach(({ filled }, i) => Atomics.store(words, filled, sequence(numbers[i])));
          this.bell.ring(to);
        }),
      );
    }
  }

  /** Takes the pieces of a range out of another place's slots. */
  async #empty(bytes: Uint8Array, from: number, begin: Begin): Promise<void> {
    const { memory, waits, topology } = this;
    const { words } = memory;
    for (const [start, length] of pieces(bytes.length, memory.shape.pieceBytes)) {
      const number = this.#taken[from]++;
      const entry = memory.entry(from, topology.place, number);
      await waits.until(() => hasReached(words, entry.filled, number));
      const given = Atomics.load(words, entry.length);
      if (given !== length) await this.#disagree(topology.hostRanks[from], given, length);
      const slot = memory.slot(from, Atomics.load(words, entry.slot));
      const piece = memory.bytes.subarray(slot, slot + length);
      begin(
        this.#copy(bytes.subarray(start, start + length), piece).then(() => {
          Atomics.store(words, entry.emptied, sequence(number));
          this.bell.ring([from]);
        }),
      );
    }
  }

  async #send(bytes: Uint8Array, to: number, begin: Begin): Promise<void> {
    const messages: Promise<void>[] = [];
    for (const [start, length] of pieces(bytes.length, MESSAGE_BYTES)) {
      await messages.at(-MESSAGES);
      const request = this.mpi.send(bytes.subarray(start, start + length), to, TAG.bytes);
      messages.push(begin(this.links!.through(request)));
    }
  }

  async #receive(bytes: Uint8Array, from: number, begin: Begin): Promise<void> {
    const messages: Promise<void>[] = [];
    for (const [start, length] of pieces(bytes.length, MESSAGE_BYTES)) {
      await messages.at(-MESSAGES);
      const room = bytes.subarray(start, start + length);
      const request = this.mpi.receive(room, from, TAG.bytes);
      messages.push(begin(this.#received(request, from)));
    }
  }

  async #received(request: PendingMessage, from: number): Promise<void> {
    try {
      const given = await this.links!.through(request);
      if (given !== request.bytes.length) await this.#disagree(from, given, request.bytes.length);
    } catch (error) {
      this.mpi.cancel(request); // what did not come shall not come into memory given back
      throw error;
    }
  }

  /** A fault of the program. */
  async #disagree(from: number, given: number, taken: number): Promise<never> {
    const { topology } = this;
    const message = `${describe(from, topology.hostOf[from])} gives a piece of ${given} bytes ` +
      `where rank ${topology.rank} takes ${taken}: the ranks do not run the same steps.`;
    await this.watch.record({ rank: from, message, told: false });
    return await this.waits.failed();
  }

  #checkOther(rank: number): void {
    const { size, rank: own } = this.topology;
    if (rank === own || rank < 0 || rank >= size || !Number.isInteger(rank)) {
      throw new RangeError(`rank ${rank} is none of the others of rank ${own} of ${size}`);
    }
  }

  /** Where a rank stands on this host, -1 if it is on another. */
  #place(rank: number): number {
    return this.topology.hostRanks.indexOf(rank);
  }
}

/** Counts a piece among those of its call that are under way. */
type Begin = (piece: Promise<unknown>) => Promise<void>;

/**
 * Starts the pieces of a call after those of earlier calls for the same ranks, and settles when all
 * of them are through: even after a failure no thread copies from or to the range any more.
 *
 * @param start starts them all; when its promise settles, the next call may start
 */
async function inOrder(
  turns: Map<number, Promise<unknown>>,
  ranks: readonly number[],
  start: (begin: Begin) => Promise<void>,
): Promise<void> {
  const underWay: Promise<void>[] = [];
  const begin: Begin = (piece) => {
    const through = piece.then(() => {});
    through.catch(() => {}); // it is thrown below, when nothing is under way any more
    underWay.push(through);
    return through;
  };
  const earlier = ranks.map((rank) => turns.get(rank));
  const started = Promise.all(earlier).then(() => start(begin));
  for (const rank of ranks) turns.set(rank, started.catch(() => {}));
  await Promise.allSettled([started]);
  await allOf([started, ...underWay]);
}

/** Waits for all, whatever becomes of each, and then throws the first error. */
async function allOf(promises: Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/** Start and length of the pieces of a range: one empty piece if it is empty. */
function* pieces(bytes: number, pieceBytes: number): Generator<[start: number, length: number]> {
  let start = 0;
  do {
    yield [start, Math.min(pieceBytes, bytes - start)];
    start += pieceBytes;
  } while (start < bytes);
}

/** Whether a word has come to a piece's number, or beyond. */
function hasReached(words: Int32Array<ArrayBuffer>, word: number, number: number): boolean {
  return ((Atomics.load(words, word) - sequence(number)) | 0) >= 0;
}

/** Fresh memory is 0, before the first piece's number. */
function sequence(number: number): number {
  return (number + 1) | 0;
}

async function copy(to: Uint8Array, from: Uint8Array): Promise<void> {
  if (from.length < SHORT) to.set(from);
  else await libc().memcpy(addressOf(to), addressOf(from), BigInt(from.length));
}

function addressOf(bytes: Uint8Array): Deno.PointerObject {
  return Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>)!;
}
