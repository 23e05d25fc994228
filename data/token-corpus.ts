import type { Document } from "./document.ts";
import type { Encoder } from "./tokenizer/encoder.ts";

/** A corpus as token ids: documents one after another, each followed by the end token. */
export interface TokenCorpus {
  /** The tokens to train on, int32 [tokens]. */
  train: Int32Array;
  /** The tokens of the documents that are held out, int32 [tokens]. */
  heldOut: Int32Array;
  /** Number of tokens by source, those held out included. */
  tokensBySource: Record<string, number>;
}

/** Documents, and their share of the tokens of a corpus. */
export interface Ingredient {
  /** The documents, of any number. */
  documents: AsyncIterable<Document>;
  /** Their share, from 0 to 1. */
  share: number;
}

/** How documents become tokens. */
export interface TokenizeOptions {
  /** Gives the ids of a text. */
  tokenizer: Encoder;
  /** The id that follows every document. */
  endToken: number;
  /** About how many tokens to take, always whole documents; Infinity takes everything. */
  tokens: number;
  /** The share of the documents that is held out, from 0 to 1. */
  heldOut: number;
  /** Called after every document with the number of tokens so far. */
  onProgress?: (tokens: number) => void;
}

/**
 * Turns documents into tokens to train on and tokens that are held out, both mixed by the same
 * shares. A hash of its text decides whether a document is held out: this is the same in every run,
 * and for all copies of the document.
 */
export async function tokenizeCorpus(
  ingredients: Ingredient[],
  { tokenizer, endToken, tokens, heldOut, onProgress }: TokenizeOptions,
): Promise<TokenCorpus> {
  const sides = { train: new TokenList(), heldOut: new TokenList() };
  const tokensBySource: Record<string, number> = {};
  for (const { documents, share } of ingredients) {
    const full = {
      train: sides.train.length + tokens * share * (1 - heldOut),
      heldOut: heldOut === 0 ? 0 : sides.heldOut.length + tokens * share * heldOut,
    };
    const isFull = (side: keyof typeof sides) => sides[side].length >= full[side];
    for await (const { text, source } of documents) {
      const side = isHeldOut(text, heldOut) ? "heldOut" : "train";
      if (!isFull(side)) {
        const ids = tokenizer.encode(text);
        sides[side].push(ids, endToken);
        tokensBySource[source] = (tokensBySource[source] ?? 0) + ids.length + 1;
        onProgress?.(sides.train.length + sides.heldOut.length);
      }
      if (isFull("train") && isFull("heldOut")) break;
    }
  }
  return { train: sides.train.toArray(), heldOut: sides.heldOut.toArray(), tokensBySource };
}

/** Whether a document is among the share, from 0 to 1, of those that are held out. */
export function isHeldOut(text: string, share: number): boolean {
  return unitHash(text) < share;
}

/** A growing int32 array. */
class TokenList {
  length = 0;
  #tokens = new Int32Array(1024);

  push(ids: number[], end: number): void {
    const length = this.length + ids.length + 1;
    if (length > this.#tokens.length) {
      const larger = new Int32Array(Math.max(length, 2 * this.#tokens.length));
      larger.set(this.#tokens);
      this.#tokens = larger;
    }
    this.#tokens.set(ids, this.length);
    this.#tokens[length - 1] = end;
    this.length = length;
  }

  toArray(): Int32Array {
    return this.#tokens.slice(0, this.length);
  }
}

/** A number in [0, 1) that depends only on the text: FNV-1a, then the finalizer of MurmurHash3. */
function unitHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) * 2 ** -32;
}
