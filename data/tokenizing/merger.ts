import { UserError } from "../../kernels/runtime/user-error.ts";
import { isHighSurrogate, isLowSurrogate } from "../operators/unicode.ts";
import type { TokenizerJson } from "./byte-pair-encoder.ts";

/** The queue holds numbers of a merge's rank and the place of its left symbol in one. */
const PLACES = 2 ** 30;

/** Joins the bytes of a word into tokens, always the pair that was learned first. */
export class Merger {
  readonly #ranks: PairTable;
  /** The token that each merge makes. */
  readonly #results: Int32Array;
  readonly #byteIds: Int32Array;
  readonly #queue = new NumberQueue();
  #capacity = 0;
  /** The tokens of a word so far by the place of their first byte, -1 where another goes on. */
  #tokens!: Int32Array;
  #previous!: Int32Array;
  #next!: Int32Array;
  /** The rank of the merge of the token at each place with the one after it, -1 for none. */
  #pairs!: Int32Array;

  constructor({ type, vocab, merges, ignore_merges }: TokenizerJson["model"]) {
    if (type !== "BPE" || ignore_merges) throw new UserError("its model is no plain BPE");
    this.#reserve(1024);
    const idOf = (token: string) => {
      const id = vocab[token];
      if (id === undefined) throw new UserError(`it has no token "${token}"`);
      return id;
    };
    this.#byteIds = Int32Array.from(byteCharacters(), idOf);
    this.#ranks = new PairTable(merges.length);
    this.#results = new Int32Array(merges.length);
    merges.forEach((merge, rank) => {
      const [left, right] = typeof merge === "string" ? merge.split(" ", 2) : merge;
      this.#ranks.set(idOf(left), idOf(right), rank);
      this.#results[rank] = idOf(left + right);
    });
  }

  /** Appends the ids of a word. */
  encode(word: string, ids: number[]): void {
    const length = this.#writeBytes(word);
    if (length > 1) this.#merge(length);
    for (let at = 0; at < length; at = this.#next[at]) ids.push(this.#tokens[at]);
  }

  /** Puts the tokens of the word's bytes in their places; returns how many there are. */
  #writeBytes(word: string): number {
    if (3 * word.length > this.#capacity) this.#reserve(6 * word.length);
    const tokens = this.#tokens;
    const byteIds = this.#byteIds;
    let length = 0;
    for (let i = 0; i < word.length; i++) {
      let point = word.charCodeAt(i);
      if (point < 0x80) {
        tokens[length++] = byteIds[point];
        continue;
      }
      if (point < 0x800) {
        tokens[length++] = byteIds[0xC0 | point >> 6];
      } else {
        if (isHighSurrogate(point) && isLowSurrogate(word.charCodeAt(i + 1))) {
          point = word.codePointAt(i++)!;
          tokens[length++] = byteIds[0xF0 | point >> 18];
          tokens[length++] = byteIds[0x80 | point >> 12 & 0x3F];
        } else {
          if (isHighSurrogate(point) || isLowSurrogate(point)) point = 0xFFFD;
          tokens[length++] = byteIds[0xE0 | point >> 12];
        }
        tokens[length++] = byteIds[0x80 | point >> 6 & 0x3F];
      }
      tokens[length++] = byteIds[0x80 | point & 0x3F];
    }
    const [previous, next] = [this.#previous, this.#next];
    for (let at = 0; at < length; at++) {
      previous[at] = at - 1;
      next[at] = at + 1;
    }
    return length;
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
      tokens[at] = this.#results[rank];
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
    const rank = right < length ? this.#ranks.get(this.#tokens[at], this.#tokens[right]) : -1;
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

/** The characters that stand for the bytes 0 to 255 in the vocabulary of a byte-level BPE. */
function byteCharacters(): string[] {
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte !== 0xAD);
    return String.fromCharCode(printable ? byte : 0x100 + others++);
  });
}

/** Ranks by pairs of ids, in open addressing. */
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

  /** The slot that has the pair, or is free for it. */
  #slotOf(left: number, right: number): number {
    const hash = Math.imul(Math.imul(left, 0x85EBCA6B) ^ right, 0x9E3779B1);
    let slot = hash >>> this.#shift;
    while (this.#ranks[slot] >= 0 && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = slot + 1 & this.#mask;
    }
    return slot;
  }
}

/** Numbers, the smallest first: a binary heap. */
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

  /** Takes the smallest; there must be one. */
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
