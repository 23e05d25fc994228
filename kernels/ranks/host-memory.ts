/** Bytes of one rank's part in one round of an all-gather; longer ones take several rounds. */
export const PART_BYTES = 1024;
/** Kind, bytes in all, bytes of this part, rank. */
export const PART_HEADER = 16;
/** Bytes of the text that tells why a rank failed. */
export const REASON_BYTES = 16384;

/** What the memory of a host is made for. */
export interface HostShape {
  /** Ranks of this host. */
  readonly ranks: number;
  /** Ranks of all hosts. */
  readonly allRanks: number;
  /** Bytes of a piece of the large exchange. */
  readonly pieceBytes: number;
  /** How many pieces of a rank can be under way. */
  readonly pieces: number;
}

/** Words of 4 bytes in a cache line: what one rank writes shares no line with what another does. */
const LINE = 16;
/** Lines of a rank: signs of life, rounds of gathers, its doorbell. */
const STATUS_LINES = 3;
const PAGE = 4096;

/** Where one entry of a queue is: four words. */
export interface Entry {
  /** Set to the entry's number + 1 when its piece is filled. */
  readonly filled: number;
  /** Set to the same by the receiver when the piece is emptied. */
  readonly emptied: number;
  /** Slot of the sender that holds the piece. */
  readonly slot: number;
  /** Bytes of the piece. */
  readonly length: number;
}

/**
 * How the memory that a host's ranks share is laid out. Every word but the doorbells' has one writer and is read and
 * written by `Atomics`, whose order makes what was stored before it visible to who reads it.
 * Sequence numbers count in 32 bits and may wrap around. Ranks are counted within the host here
 * ("places").
 */
export class HostMemory {
  /** All of the memory as words; the offsets below count in them. */
  readonly words: Int32Array<ArrayBuffer>;
  /** All of the memory as bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Entries of each pair's queue: how many pieces a rank may have under way to one other. */
  readonly queueLength: number;
  readonly #queues: number;
  readonly #slots: number;

  /** Place + 1 of the rank that told a failure first, 0 while there is none. */
  readonly failed = 0;
  /** 1 when the person at the terminal has been told of it, or is by another host. */
  readonly told = 1;

  /**
   * Lays out fresh memory.
   *
   * @param memory of at least as many bytes as {@linkcode HostMemory.size} says
   */
  constructor(memory: ArrayBuffer, readonly shape: HostShape) {
    this.words = new Int32Array(memory);
    this.bytes = new Uint8Array(memory);
    const layout = layOut(shape);
    this.queueLength = layout.queueLength;
    this.#queues = layout.queues;
    this.#slots = layout.slots;
  }

  /** Bytes that {@linkcode HostMemory} needs for a shape. */
  static size(shape: HostShape): number {
    return layOut(shape).bytes;
  }

  /** A number that grows while the rank's event loop lives. */
  beat(place: number): number {
    return this.#status(place);
  }

  /** 1 as soon as the rank is about to part: its end is then no failure. */
  parting(place: number): number {
    return this.#status(place) + 1;
  }

  /** Number of the round whose part the rank has put down. */
  round(place: number): number {
    return this.#status(place) + LINE;
  }

  /** Counts how often others have rung for the rank. */
  rings(place: number): number {
    return this.#status(place) + 2 * LINE;
  }

  /** 1 while the rank sleeps, or is about to. */
  asleep(place: number): number {
    return this.rings(place) + 1;
  }

  /** Number of the round of which the first rank of the host has put down all hosts' parts. */
  get collected(): number {
    return this.#status(0) + LINE + 1;
  }

  /** The rank's part of a round: header and bytes. Two take turns, so that no slow reader loses. */
  part(place: number, round: number): Uint8Array<ArrayBuffer> {
    const bytes = PART_HEADER + PART_BYTES;
    const start = 4 * this.#status(this.shape.ranks) +
      (2 * place + (round & 1)) * bytes;
    return this.bytes.subarray(start, start + bytes);
  }

  /** Where a rank writes why it failed. */
  reason(place: number): Uint8Array<ArrayBuffer> {
    const start = this.part(this.shape.ranks, 0).byteOffset + place * REASON_BYTES;
    return this.bytes.subarray(start, start + REASON_BYTES);
  }

  /** All hosts' parts of a round. */
  get allParts(): Uint8Array<ArrayBuffer> {
    const start = this.reason(this.shape.ranks).byteOffset;
    return this.bytes.subarray(start, start + this.shape.allRanks * (PART_HEADER + PART_BYTES));
  }

  /** An entry of the queue of pieces from one place to another; numbers go on for ever. */
  entry(from: number, to: number, number: number): Entry {
    const index = (from * this.shape.ranks + to) * this.queueLength + number % this.queueLength;
    const filled = this.#queues + 4 * index;
    return { filled, emptied: filled + 1, slot: filled + 2, length: filled + 3 };
  }

  /** Where a slot of a rank begins in {@linkcode bytes}. */
  slot(place: number, slot: number): number {
    return this.#slots + (place * this.shape.pieces + slot) * this.shape.pieceBytes;
  }

  #status(place: number): number {
    return LINE + place * STATUS_LINES * LINE;
  }
}

function layOut({ ranks, allRanks, pieceBytes, pieces }: HostShape) {
  // A rank may fill its queues to all others at once, and each piece then finds a slot.
  const queueLength = ranks > 1 ? Math.floor(pieces / (ranks - 1)) : 0;
  const queues = (LINE + STATUS_LINES * LINE * ranks) +
    (2 * ranks * (PART_HEADER + PART_BYTES) + ranks * REASON_BYTES +
        allRanks * (PART_HEADER + PART_BYTES)) / 4;
  const controlBytes = 4 * (queues + 4 * ranks * ranks * queueLength);
  const slots = Math.ceil(controlBytes / PAGE) * PAGE;
  return {
    queueLength,
    queues,
    slots,
    bytes: slots + (ranks > 1 ? ranks * pieces * pieceBytes : 0),
  };
}
