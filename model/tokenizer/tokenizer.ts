import type { TextFolder } from "../../data/files/text-folder.ts";
import { BYTE_TOKENS, bytesOfToken } from "../../data/tokenizer/byte-level.ts";
import type { Encoder } from "../../data/tokenizer/encoder.ts";
import { encoderOf } from "../../data/tokenizer/encoder-of.ts";
import { TokenTable } from "../../data/tokenizer/token-table.ts";
import { readTokenizerFiles, type TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { idsToKeep, pruneTokenizerFiles } from "./prune-tokenizer.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Bytes that valid UTF-8 never contains, so that no text is ever encoded with their tokens. */
const IMPOSSIBLE_BYTES = [0xc0, 0xc1, ...Array.from({ length: 11 }, (_, i) => 0xf5 + i)];

/** How ids become text. */
export interface DecodeOptions {
  /** Leave out `<|endoftext|>`, `<|im_start|>`, `<|im_end|>` and the like. */
  skipSpecial?: boolean;
}

/** Decodes one token at a time. Text comes out as soon as its characters are complete. */
export interface DecodeStream {
  /** Adds a token; returns the text that it completes, which may be empty. */
  push(id: number): string;
  /** Returns what is left: incomplete characters become U+FFFD. The stream then starts anew. */
  flush(): string;
}

/** Qwen's byte-level BPE, whole or pruned: text to token ids and back. */
export class Tokenizer implements Encoder {
  /** The id of `<|endoftext|>`. */
  readonly endOfText: number;
  /** The id of `<|im_start|>`. */
  readonly imStart: number;
  /** The id of `<|im_end|>`. */
  readonly imEnd: number;
  readonly #files: TokenizerFiles;
  readonly #tokens: TokenTable;
  readonly #encoder: Encoder;
  /** Bytes of each token that has been decoded. */
  readonly #bytes = new Map<number, Uint8Array>();

  /**
   * Makes the tokenizer that files define.
   *
   * @throws UserError if it is not a byte-level BPE with Qwen's special tokens
   */
  constructor(files: TokenizerFiles) {
    this.#files = files;
    this.#encoder = encoderOf(files);
    this.#tokens = new TokenTable(files);
    this.endOfText = this.#tokens.idOf("<|endoftext|>");
    this.imStart = this.#tokens.idOf("<|im_start|>");
    this.imEnd = this.#tokens.idOf("<|im_end|>");
    for (const token of BYTE_TOKENS) this.#tokens.idOf(token);
  }

  /**
   * The tokenizer stored with a checkpoint; undefined if there is none.
   *
   * @throws UserError if it is not a byte-level BPE with Qwen's special tokens
   */
  static async read(folder: TextFolder): Promise<Tokenizer | undefined> {
    const files = await readTokenizerFiles(folder);
    return files && new Tokenizer(files);
  }

  /**
   * The vocabulary pruned to the tokens used and those without which they could not be encoded.
   *
   * @param idsUsed ids of a corpus, in any order and as often as they occur
   * @param fullSize rows of the unpruned model (its config's `vocab_size`)
   */
  prunedVocabulary(idsUsed: Iterable<number>, fullSize: number): Vocabulary {
    return Vocabulary.of(idsToKeep(this.#files, idsUsed), fullSize);
  }

  /** The tokenizer of a model with that pruned vocabulary; its ids are the compact ones. */
  withVocabulary(vocabulary: Vocabulary): Tokenizer {
    return new Tokenizer(pruneTokenizerFiles(this.#files, vocabulary));
  }

  /** One more than the largest id. */
  get size(): number {
    return this.#tokens.size;
  }

  /** Ids of tokens that no text contains; see {@linkcode Vocabulary.expandHead}. */
  get impossibleIds(): number[] {
    return IMPOSSIBLE_BYTES.map((byte) => this.#tokens.idOf(BYTE_TOKENS[byte]));
  }

  /**
   * The ids of a text. Added tokens written out in it, such as `<|im_end|>`, become those tokens;
   * nothing is put before or after it.
   */
  encode(text: string): number[] {
    return this.#encoder.encode(text);
  }

  /** The text of ids. Bytes that are not UTF-8 become U+FFFD; ids without a token add nothing. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.createDecodeStream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /** Starts decoding a text whose tokens come one at a time. */
  createDecodeStream(options: DecodeOptions = {}): DecodeStream {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => {
        if (options.skipSpecial && this.#tokens.added.get(id)?.special) return "";
        return decoder.decode(this.#bytesOf(id), { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }

  /** The files to store with a checkpoint, by name, so that it loads here and in transformers. */
  files(): Record<string, string> {
    return this.#files.texts();
  }

  #bytesOf(id: number): Uint8Array {
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      const token = this.#tokens.tokenOf(id) ?? "";
      const isText = this.#tokens.added.has(id);
      bytes = (isText ? undefined : bytesOfToken(token)) ?? new TextEncoder().encode(token);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }
}
