import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../files/error-message.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { Merger } from "./merger.ts";

/** The parts of a `tokenizer.json` that say how a byte-level BPE works. */
export interface TokenizerJson {
  normalizer: { type: string } | null;
  pre_tokenizer: { type: string; pretokenizers?: { type: string; [key: string]: unknown }[] };
  added_tokens: { id: number; content: string; lstrip: boolean; rstrip: boolean }[];
  model: {
    type: string;
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
    ignore_merges?: boolean;
  };
}

/**
 * Qwen's kind of tokenizer, byte-level BPE after NFC and a split by an expression, for much text:
 * the ids are those of `@huggingface/tokenizers`, some ten times as fast.
 */
export class BytePairEncoder implements Tokenizer {
  readonly #words: RegExp;
  readonly #merger: Merger;
  readonly #added: Map<string, number>;
  readonly #addedPattern: RegExp | undefined;
  /** Ids of short words that have been met. */
  readonly #cache = new Map<string, number[]>();

  /**
   * @param tokenizer a parsed `tokenizer.json`
   * @throws UserError if it is of another kind
   */
  constructor(tokenizer: TokenizerJson) {
    this.#words = wordPattern(tokenizer);
    this.#merger = new Merger(tokenizer.model);
    this.#added = new Map(tokenizer.added_tokens.map(({ content, id }) => [content, id]));
    // Of two added tokens that begin alike, the longer one is meant.
    const contents = [...this.#added.keys()].toSorted((a, b) => b.length - a.length);
    if (contents.length > 0) {
      this.#addedPattern = new RegExp(`(${contents.map(escaped).join("|")})`);
    }
  }

  /** Reads a `tokenizer.json`. Throws UserError if it cannot be read or is of another kind. */
  static async fromFile(path: string): Promise<BytePairEncoder> {
    let json: TokenizerJson;
    try {
      json = JSON.parse(await Deno.readTextFile(path));
    } catch (error) {
      const reason = messageOf(error);
      throw new UserError(`the tokenizer ${path} cannot be read: ${reason}`);
    }
    try {
      return new BytePairEncoder(json);
    } catch (error) {
      const reason = messageOf(error);
      throw new UserError(`the tokenizer ${path} cannot be used: ${reason}`);
    }
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    const sections = this.#addedPattern ? text.split(this.#addedPattern) : [text];
    sections.forEach((section, i) => {
      // What the pattern's group has captured stands at the odd places.
      if (i % 2 === 1) ids.push(this.#added.get(section)!);
      else this.#encodeSection(section.normalize("NFC"), ids);
    });
    return ids;
  }

  /** The id of an added token. Throws UserError if there is none of that name. */
  idOf(token: string): number {
    const id = this.#added.get(token);
    if (id === undefined) throw new UserError(`the tokenizer has no token ${token}`);
    return id;
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
    if (word.length > LONGEST_CACHED) return this.#merger.encode(word, ids);
    let cached = this.#cache.get(word);
    if (cached === undefined) {
      cached = [];
      this.#merger.encode(word, cached);
      if (this.#cache.size === CACHE_SIZE) this.#cache.clear();
      this.#cache.set(word, cached);
    }
    for (const id of cached) ids.push(id);
  }
}

/** Longer words seldom come again. */
const LONGEST_CACHED = 12;
const CACHE_SIZE = 1 << 17;

function wordPattern({ normalizer, pre_tokenizer, added_tokens }: TokenizerJson): RegExp {
  const steps = pre_tokenizer?.pretokenizers ?? [];
  const [split, bytes] = steps;
  const fits = normalizer?.type === "NFC" && steps.length === 2 && split.type === "Split" &&
    split.behavior === "Isolated" && !split.invert && bytes.type === "ByteLevel" &&
    !bytes.add_prefix_space && bytes.use_regex === false &&
    added_tokens.every(({ lstrip, rstrip }) => !lstrip && !rstrip);
  if (!fits) throw new UserError("it is no byte-level BPE of Qwen's kind");
  // The oracle's own translation of the expression into JavaScript's.
  const config = split as unknown as ConstructorParameters<typeof SplitPreTokenizer>[0];
  const { pattern } = new SplitPreTokenizer(config) as unknown as { pattern: RegExp };
  return new RegExp(pattern.source, "gu");
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
