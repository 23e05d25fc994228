/**
 * Finds all pairs of 64-bit hashes within a Hamming distance, exactly. Such pairs connect documents
 * to groups, and each group keeps its first document (Manku, Jain and Das Sarma 2007,
 * doi:10.1145/1242572.1242592).
 */

/** The hashes of documents, in their order; read several times, a chunk at a time. */
export interface Fingerprints {
  /** Number of hashes. */
  readonly length: number;
  /** The hashes, two words each, the low one first. */
  chunks(): Iterable<Uint32Array>;
}

/** Which hashes count as near-duplicates. */
export interface NearDuplicateSettings {
  /** Two hashes are near-duplicates if at most this many bits differ. */
  distance: number;
  /**
   * Into how many blocks of bits hashes are cut, more than `distance`: two near-duplicates agree in
   * at least `blocks - distance` blocks, and only such pairs are compared.
   */
  blocks: number;
  /** Whether documents of the hash 0 are like no other document. */
  keepEmpty: boolean;
  /** How many hashes are held in memory at once, at most 2^26. */
  heldAtOnce?: number;
}

/** This number of hashes takes 96 MB with all that is needed to sort them. */
const HELD_AT_ONCE = 1 << 22;

/**
 * Keeps the first document of each group that near-duplicates connect: 1 for a document that stays,
 * 0 for one that does not, uint8 [documents]. Memory: 5 bytes a document, and 24 for each that
 * is held at once.
 */
export function firstOfEachGroup(
  fingerprints: Fingerprints,
  { distance, blocks, keepEmpty, heldAtOnce = HELD_AT_ONCE }: NearDuplicateSettings,
): Uint8Array {
  const groups = new Groups(fingerprints.length);
  const distinct = new Uint8Array(fingerprints.length).fill(1);
  for (const part of partsOf(fingerprints, distinct, ALL_BITS, heldAtOnce)) {
    for (const run of part.runs()) joinEqual(part, run, keepEmpty, groups, distinct);
  }
  const choices = distance === 0 ? [] : combinations(blocks, blocks - distance);
  for (const chosen of choices) {
    for (const part of partsOf(fingerprints, distinct, maskOf(chosen, blocks), heldAtOnce)) {
      for (const run of part.runs()) joinNear(part, run, distance, groups);
    }
  }
  return distinct.map((_, document) => groups.firstOf(document) === document ? 1 : 0);
}

/** Joins the documents of equal hashes; only the first of them stays in `distinct`. */
function joinEqual(
  { low, high, documents }: Part,
  run: Uint32Array,
  keepEmpty: boolean,
  groups: Groups,
  distinct: Uint8Array,
): void {
  const firsts: number[] = [];
  for (const i of run) {
    if (keepEmpty && low[i] === 0 && high[i] === 0) {
      distinct[documents[i]] = 0;
      continue;
    }
    const first = firsts.find((first) => low[first] === low[i] && high[first] === high[i]);
    if (first === undefined) {
      firsts.push(i);
    } else {
      groups.join(documents[first], documents[i]);
      distinct[documents[i]] = 0;
    }
  }
}

/** Joins the documents of a run whose hashes are near each other. */
function joinNear(
  { low, high, documents }: Part,
  run: Uint32Array,
  distance: number,
  groups: Groups,
): void {
  // Side by side in memory, since every pair is looked at.
  const lows = run.map((i) => low[i]);
  const highs = run.map((i) => high[i]);
  for (let a = 0; a < run.length; a++) {
    const lowOfA = lows[a];
    const highOfA = highs[a];
    for (let b = a + 1; b < run.length; b++) {
      const differing = bitCount(lowOfA ^ lows[b]) + bitCount(highOfA ^ highs[b]);
      if (differing <= distance) groups.join(documents[run[a]], documents[run[b]]);
    }
  }
}

/** Bits of a hash, its low word first. */
type Mask = [low: number, high: number];
const ALL_BITS: Mask = [0xFFFFFFFF, 0xFFFFFFFF];

/** The bits of some blocks, where block i of m has the bits from ⌊64i/m⌋ to ⌊64(i+1)/m⌋. */
function maskOf(chosen: number[], blocks: number): Mask {
  const mask: Mask = [0, 0];
  for (const block of chosen) {
    const end = Math.floor(64 * (block + 1) / blocks);
    for (let bit = Math.floor(64 * block / blocks); bit < end; bit++) {
      mask[bit >> 5] |= 1 << (bit & 31);
    }
  }
  return mask;
}

/** Hashes that are held at once: all hashes that agree in the masked bits are in one part. */
class Part {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  readonly documents: Uint32Array;
  readonly #keys: Uint32Array;

  constructor(size: number) {
    this.low = new Uint32Array(size);
    this.high = new Uint32Array(size);
    this.documents = new Uint32Array(size);
    this.#keys = new Uint32Array(size);
  }

  set(i: number, document: number, low: number, high: number, key: number): void {
    this.low[i] = low;
    this.high[i] = high;
    this.documents[i] = document;
    this.#keys[i] = key;
  }

  /** Indices of hashes of one key each, in the order of the documents; runs of one are left out. */
  *runs(): Generator<Uint32Array> {
    // Key and index in one number sort at the speed of the machine, without a comparator.
    const sorted = Float64Array.from(this.#keys, (key, i) => key * INDICES + i).sort();
    const indices = Uint32Array.from(sorted, (number) => number % INDICES);
    for (let start = 0, end = 1; start < indices.length; start = end++) {
      const key = this.#keys[indices[start]];
      while (end < indices.length && this.#keys[indices[end]] === key) end++;
      if (end - start > 1) yield indices.subarray(start, end);
    }
  }
}

/** Keys have 26 bits and indices 27, since numbers have 53. */
const KEY_BITS = 26;
const INDICES = 2 ** 27;

/** The hashes of the documents that still count, in parts small enough to be held. */
function* partsOf(
  fingerprints: Fingerprints,
  counts: Uint8Array,
  mask: Mask,
  heldAtOnce: number,
): Generator<Part> {
  let parts = 1;
  let sizes = partSizes(fingerprints, counts, mask, parts);
  // A part overflows its share where many hashes agree; twice as many parts make it smaller.
  while (Math.max(...sizes) > heldAtOnce && parts < MOST_PARTS) {
    parts *= 2;
    sizes = partSizes(fingerprints, counts, mask, parts);
  }
  for (let part = 0; part < parts; part++) {
    const held = new Part(sizes[part]);
    let i = 0;
    forEach(fingerprints, counts, (document, low, high) => {
      const key = keyOf(low & mask[0], high & mask[1]);
      if (key % parts === part) held.set(i++, document, low, high, key);
    });
    yield held;
  }
}

const MOST_PARTS = 1 << 12;

function partSizes(
  fingerprints: Fingerprints,
  counts: Uint8Array,
  mask: Mask,
  parts: number,
): number[] {
  const sizes = new Array<number>(parts).fill(0);
  forEach(fingerprints, counts, (_, low, high) => {
    sizes[keyOf(low & mask[0], high & mask[1]) % parts]++;
  });
  return sizes;
}

function forEach(
  fingerprints: Fingerprints,
  counts: Uint8Array,
  visit: (document: number, low: number, high: number) => void,
): void {
  let document = 0;
  for (const chunk of fingerprints.chunks()) {
    for (let word = 0; word < chunk.length; word += 2, document++) {
      if (counts[document] === 1) visit(document, chunk[word], chunk[word + 1]);
    }
  }
}

/** The hash's bits mixed into a few (the finalizer of MurmurHash3, Austin Appleby). */
function keyOf(low: number, high: number): number {
  let key = Math.imul(low, 0x9E3779B1) ^ high;
  key = Math.imul(key ^ (key >>> 16), 0x85EBCA6B);
  key = Math.imul(key ^ (key >>> 13), 0xC2B2AE35);
  return (key ^ (key >>> 16)) >>> (32 - KEY_BITS);
}

function bitCount(word: number): number {
  let bits = word - (word >>> 1 & 0x55555555);
  bits = (bits & 0x33333333) + (bits >>> 2 & 0x33333333);
  return Math.imul(bits + (bits >>> 4) & 0x0F0F0F0F, 0x01010101) >>> 24;
}

/** All choices of `size` numbers below `n`. */
function combinations(n: number, size: number): number[][] {
  if (size === 0) return [[]];
  return Array.from({ length: n }, (_, last) => last)
    .flatMap((last) => combinations(last, size - 1).map((others) => [...others, last]));
}

/** Groups of documents by union-find; each knows its first document. */
class Groups {
  readonly #earlier: Uint32Array;

  constructor(documents: number) {
    this.#earlier = Uint32Array.from({ length: documents }, (_, document) => document);
  }

  firstOf(document: number): number {
    let first = document;
    while (this.#earlier[first] !== first) {
      this.#earlier[first] = this.#earlier[this.#earlier[first]];
      first = this.#earlier[first];
    }
    return first;
  }

  join(a: number, b: number): void {
    const [first, second] = [this.firstOf(a), this.firstOf(b)];
    this.#earlier[Math.max(first, second)] = Math.min(first, second);
  }
}
