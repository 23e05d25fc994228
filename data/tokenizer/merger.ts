import { BYTE_TOKENS, FALLBACK_TOKENS } from "./byte-level.ts";
import { type BytePairModel, pairOf } from "./byte-pair-tokenizer.ts";

/** The queue holds a merge's rank and the place of its left token in one number. */
const PLACES = 2 ** 30;

/**
 * Writes the smallest tokens of a word, one at each place from 0 on.
 *
 * @param tokens has room for three to each UTF-16 unit
 * @returns how many there are
 */
type WriteTokens = (word: string, tokens: Int32Array) => number;

/** Joins the smallest tokens of a word: always the pair that was learned first. */
export class Merger {
  readonly #queue = new NumberQueue();
  #capacity = 0;
  /** The word's tokens so far, each at the place of its first byte; other places are stale. */
  #tokens!: Int32Array;
  /** By the place of a token, the place of the token before it. */
  #previous!: Int32Array;
  /** By the place of a token, the place of the token after it. */
  #next!: Int32Array;
  /** By the place of a token, the rank of its merge with the token after it, or -1. */
  #pairs!: Int32Array;

  private constructor(
    private readonly write: WriteTokens,
    private readonly ranks: PairTable,
    /** The token that each merge makes. */
    private readonly results: Int32Array,
  ) {
    this.#reserve(1024);
  }

  /** Of a byte-level model; undefined if a byte or a merge has no token in its vocabulary. */
  static ofBytes(model: BytePairModel): Merger | undefined {
    return Merger.#of(model, BYTE_TOKENS, (byteIds) => (word, tokens) => {
      let length = 0;
      for (let i = 0; i < word.length; i++) {
        const point = wellFormed(word.codePointAt(i)!);
        if (point >= 0x10000) i++;
        length = writeBytes(point, byteIds, tokens, length);
      }
      return length;
    });
  }

  /**
   * Of a model of characters, in which bytes, written as `<0x0A>`, stand for those that have no token;
   * undefined if a byte or a merge has none, or if bytes are joined.
   */
  static ofCharacters(model: BytePairModel): Merger | undefined {
    const fallback = new Set(FALLBACK_TOKENS);
    if (model.merges.some((merge) => pairOf(merge).some((token) => fallback.has(token)))) {
      return undefined;
    }
    const characters = new Map(
      Object.entries(model.vocab).filter(([token]) => token.length <= 2 && [...token].length === 1)
        .map(([token, id]) => [token.codePointAt(0)!, id]),
    );
    return Merger.#of(model, FALLBACK_TOKENS, (byteIds) => (word, tokens) => {
      let length = 0;
      for (let i = 0; i < word.length; i++) {
        const point = word.codePointAt(i)!;
        if (point >= 0x10000) i++;
        const id = characters.get(point);
        if (id === undefined) length = writeBytes(wellFormed(point), byteIds, tokens, length);
        else tokens[length++] = id;
      }
      return length;
    });
  }

  static #of(
    { vocab, merges }: BytePairModel,
    bytes: readonly string[],
    writer: (byteIds: Int32Array) => WriteTokens,
  ): Merger | undefined {
    let isComplete = true;
    const idOf = (token: string): number => {
      if (Object.hasOwn(vocab, token)) return vocab[token];
      isComplete = false;
      return -1;
    };
    const byteIds = Int32Array.from(bytes, idOf);
    const ranks = new PairTable(merges.length);
    const results = new Int32Array(merges.length);
    merges.forEach((merge, rank) => {
      const [left, right] = pairOf(merge);
      ranks.set(idOf(left), idOf(right), rank);
      results[rank] = idOf(left + right);
    });
    return isComplete ? new Merger(writer(byteIds), ranks, results) : undefined;
  }

  /** Appends the ids of a word. */
  encode(word: string, ids: number[]): void {
    if (3 * word.length > this.#capacity) this.#reserve(6 * word.length);
    const length = this.write(word, this.#tokens);
    const [previous, next] = [this.#previous, this.#next];
    for (let at = 0; at < length; at++) {
      previous[at] = at - 1;
      next[at] = at + 1;
    }
    if (length > 1) this.#merge(length);
    for (let at = 0; at < length; at = next[at]) ids.push(this.#tokens[at]);
  }

  #merge(length: number): void {
    const tokens = this.#tokens;
    const [previous, next, pairs] = [this.#previous, this.#next, this.#pairs];
    const queue = this.#queue;
    for (let at = 0; at < length; at++) this.#consider(at, length);
    while (queue.size > 0) {
      const first = queue.pop();
      const rank = Math.floor(first / PLACES);
      const at = first - rank * PLACES;
      if (pairs[at] !== rank) continue; // one of the two has been merged with another since
      const right = next[at];
      tokens[at] = this.results[rank];
      pairs[right] = -1;
      next[at] = next[right];
      if (next[at] < length) previous[next[at]] = at;
      this.#consider(at, length);
      if (previous[at] >= 0) this.#consider(previous[at], length);
    }
  }

  /** Queues the merge of the token at a place with the one after it, if there is one. */
  #consider(at: number, length: number): void {
    const right = this.#next[at];
    const rank = right < length ? this.ranks.get(this.#tokens[at], this.#tokens[right]) : -1;
    this.#pairs[at] = rank;
    if (rank >= 0) this.#queue.push(rank * PLACES + at);
  }

  #reserve(capacity: number): void {
    this.#capacity = capacity;
    this.#tokens = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#pairs = new Int32Array(capacity);
  }
}

/** A code point, or U+FFFD in place of half of one. */
function wellFormed(point: number): number {
  return point >= 0xD800 && point <= 0xDFFF ? 0xFFFD : point;
}

/** Writes the tokens of a code point's bytes in UTF-8 from a place on, and returns the place behind. */
function writeBytes(
  point: number,
  byteIds: Int32Array,
  tokens: Int32Array,
  at: number,
): number {
  if (point < 0x80) {
    tokens[at++] = byteIds[point];
    return at;
  }
  if (point < 0x800) {
    tokens[at++] = byteIds[0xC0 | point >> 6];
  } else {
    if (point < 0x10000) {
      tokens[at++] = byteIds[0xE0 | point >> 12];
    } else {
      tokens[at++] = byteIds[0xF0 | point >> 18];
      tokens[at++] = byteIds[0x80 | point >> 12 & 0x3F];
    }
    tokens[at++] = byteIds[0x80 | point >> 6 & 0x3F];
  }
  tokens[at++] = byteIds[0x80 | point & 0x3F];
  return at;
}

/** Ranks by pairs of ids: a hash table with open addressing. */
class PairTable {
  readonly #shift: number;
  readonly #mask: number;
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #ranks: Int32Array;

  constructor(size: number) {
    const bits = Math.ceil(Math.log2(3 * Math.max(size, 1)));
    this.#shift = 32 - bits;
    this.#mask = 2 ** bits - 1;
    this.#left = new Int32Array(2 ** bits);
    this.#right = new Int32Array(2 ** bits);
    this.#ranks = new Int32Array(2 ** bits).fill(-1);
  }

  get(left: number, right: number): number {
    return this.#ranks[this.#slotOf(left, right)];
  }

  set(left: number, right: number, rank: number): void {
    const slot = this.#slotOf(left, right);
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#ranks[slot] = rank;
  }

  /** The slot that holds the pair, or the free one where it would be put. */
  #slotOf(left: number, right: number): number {
    const hash = Math.imul(Math.imul(left, 0x85EBCA6B) ^ right, 0x9E3779B1);
    let slot = hash >>> this.#shift;
    while (this.#ranks[slot] >= 0 && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = slot + 1 & this.#mask;
    }
    return slot;
  }
}

/** A binary heap of numbers, the smallest at its root. */
class NumberQueue {
  size = 0;
  #heap = new Float64Array(1024);

  push(value: number): void {
    if (this.size === this.#heap.length) {
      const larger = new Float64Array(2 * this.size);
      larger.set(this.#heap);
      this.#heap = larger;
    }
    const heap = this.#heap;
    let at = this.size++;
    while (at > 0) {
      const parent = at - 1 >> 1;
      if (heap[parent] <= value) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = value;
  }

  /** Removes and returns the smallest number; the queue must not be empty. */
  pop(): number {
    const heap = this.#heap;
    const smallest = heap[0];
    const value = heap[--this.size];
    let at = 0;
    for (let child = 1; child < this.size; child = 2 * at + 1) {
      if (child + 1 < this.size && heap[child + 1] < heap[child]) child++;
      if (value <= heap[child]) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
    return smallest;
  }
}
