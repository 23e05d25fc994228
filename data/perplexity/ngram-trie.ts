/**
 * The number of the empty n-gram, with which all others begin. As no n-gram continues to it, it
 * also stands for none.
 */
export const ROOT = 0;

/** N-grams of numbered words with two figures each, found by their context and last word. */
export class NgramTrie {
  /** By n-gram's number: the number of all its words but the last, the last, and its figures. */
  readonly #contexts: Uint32Array;
  readonly #words: Uint32Array;
  readonly #logProbabilities: Float32Array;
  readonly #logBackOffs: Float32Array;
  /** An open hash table of the n-grams' numbers. */
  readonly #slots: Uint32Array;
  readonly #bits: number;
  #count = 1;

  /** Makes an empty trie. @param size the most n-grams it can hold */
  constructor(size: number) {
    this.#contexts = new Uint32Array(size + 1);
    this.#words = new Uint32Array(size + 1);
    this.#logProbabilities = new Float32Array(size + 1);
    this.#logBackOffs = new Float32Array(size + 1);
    this.#bits = Math.ceil(Math.log2(1.5 * size + 2));
    this.#slots = new Uint32Array(2 ** this.#bits);
  }

  /** Adds an n-gram with its logarithms to base 10. @returns false if the trie is full */
  add(context: number, word: number, logProbability: number, logBackOff: number): boolean {
    if (this.#count === this.#contexts.length) return false;
    const ngram = this.#count++;
    this.#contexts[ngram] = context;
    this.#words[ngram] = word;
    this.#logProbabilities[ngram] = logProbability;
    this.#logBackOffs[ngram] = logBackOff;
    this.#slots[this.#slotOf(context, word)] = ngram;
    return true;
  }

  /** The number of the n-gram of a context and a word; {@linkcode ROOT} if there is none. */
  find(context: number, word: number): number {
    return this.#slots[this.#slotOf(context, word)];
  }

  logProbability(ngram: number): number {
    return this.#logProbabilities[ngram];
  }

  logBackOff(ngram: number): number {
    return this.#logBackOffs[ngram];
  }

  /** The slot that holds an n-gram, or the free one where it would be put. */
  #slotOf(context: number, word: number): number {
    let hash = Math.imul(Math.imul(context, 0x9E3779B1) ^ word, 0x85EBCA6B);
    hash = Math.imul(hash ^ (hash >>> 15), 0xC2B2AE35);
    let slot = hash >>> (32 - this.#bits);
    for (;; slot = slot + 1 & this.#slots.length - 1) {
      const ngram = this.#slots[slot];
      if (ngram === 0) return slot;
      if (this.#contexts[ngram] === context && this.#words[ngram] === word) return slot;
    }
  }
}
