import { AddedTokens } from "./added-tokens.ts";
import { type BytePairTokenizer, isBytePairTokenizer } from "./byte-pair-tokenizer.ts";
import type { Encoder } from "./encoder.ts";
import { Merger } from "./merger.ts";
import { splitPattern } from "./split-pattern.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** Words longer than this seldom come again. */
const LONGEST_CACHED = 12;
const CACHE_SIZE = 1 << 17;

/**
 * The encoder of tokenizers of Qwen's kind. Its ids are those of `@huggingface/tokenizers`; it is
 * some ten times as fast.
 */
export class BytePairEncoder implements Encoder {
  readonly #words: RegExp;
  readonly #added: AddedTokens;
  /** Ids of short words that were encoded before. */
  readonly #cache = new Map<string, number[]>();

  private constructor(
    { pre_tokenizer, added_tokens }: BytePairTokenizer,
    private readonly merger: Merger,
  ) {
    this.#words = splitPattern(pre_tokenizer.pretokenizers[0].pattern.Regex);
    this.#added = new AddedTokens(added_tokens);
  }

  /**
   * The encoder of a tokenizer; undefined if the tokenizer is of another kind, or if its vocabulary
   * lacks a byte or what a merge makes.
   */
  static of(
    { tokenizer, config }: Pick<TokenizerFiles, "tokenizer" | "config">,
  ): BytePairEncoder | undefined {
    if (!isBytePairTokenizer(tokenizer, config)) return undefined;
    const merger = Merger.ofBytes(tokenizer.model);
    return merger && new BytePairEncoder(tokenizer, merger);
  }

  encode(text: string): number[] {
    return this.#added.encode(
      text,
      (section) => section.normalize("NFC"),
      (section, ids) => this.#encodeSection(section, ids),
    );
  }

  #encodeSection(text: string, ids: number[]): void {
    const words = this.#words;
    words.lastIndex = 0;
    let end = 0;
    for (let match = words.exec(text); match !== null; match = words.exec(text)) {
      if (match.index > end) this.#encodeWord(text.slice(end, match.index), ids);
      this.#encodeWord(match[0], ids);
      end = words.lastIndex;
    }
    if (end < text.length) this.#encodeWord(text.slice(end), ids);
  }

  #encodeWord(word: string, ids: number[]): void {
    if (word.length > LONGEST_CACHED) return this.merger.encode(word, ids);
    let cached = this.#cache.get(word);
    if (cached === undefined) {
      cached = [];
      this.merger.encode(word, cached);
      if (this.#cache.size === CACHE_SIZE) this.#cache.clear();
      this.#cache.set(word, cached);
    }
    for (const id of cached) ids.push(id);
  }
}
