import { bytesOfToken } from "../../data/tokenizer/byte-level.ts";
import type { LibraryTokenizer } from "../../data/tokenizer/library-tokenizer.ts";
import type { TokenTable } from "../../data/tokenizer/token-table.ts";

/** Decodes one token at a time. Text comes out as soon as its characters are complete. */
export interface DecodeStream {
  /** Adds a token; returns the text that it completes, which may be empty. */
  push(id: number): string;
  /** Returns what is left: incomplete characters become U+FFFD. The stream then starts anew. */
  flush(): string;
}

/** Turns ids of a byte-level BPE into the bytes that they stand for, and these into text. */
export class ByteDecoder {
  /** Bytes of each token that has been decoded. */
  readonly #bytes = new Map<number, Uint8Array>();

  constructor(private readonly tokens: TokenTable) {}

  stream(): DecodeStream {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(this.#bytesOf(id), { stream: true }),
      flush: () => decoder.decode(),
    };
  }

  #bytesOf(id: number): Uint8Array {
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      const token = this.tokens.tokenOf(id) ?? "";
      const isText = this.tokens.added.has(id);
      bytes = (isText ? undefined : bytesOfToken(token)) ?? new TextEncoder().encode(token);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }
}

/** What stands for bytes that are no character, or not yet one. */
const INCOMPLETE = "\ufffd";

/**
 * A stream by a decoder that only knows whole texts: each token is decoded together with the last ones
 * before it, and what these alone give is left out.
 */
export class WindowStream implements DecodeStream {
  /** The ids whose text is known, and those behind them whose text is not. */
  #known: readonly number[];
  #open: number[] = [];

  /** @param before ids that the text continues; their own text does not come out */
  constructor(private readonly library: LibraryTokenizer, before: readonly number[] = []) {
    this.#known = before;
  }

  push(id: number): string {
    this.#open.push(id);
    const text = this.#openText();
    if (text === "" || text.endsWith(INCOMPLETE)) return "";
    this.#known = this.#open;
    this.#open = [];
    return text;
  }

  flush(): string {
    const text = this.#openText();
    this.#known = [];
    this.#open = [];
    return text;
  }

  #openText(): string {
    const known = this.library.decode(this.#known);
    return this.library.decode([...this.#known, ...this.#open]).slice(known.length);
  }
}
