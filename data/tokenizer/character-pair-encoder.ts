import { isRecord } from "../files/is-record.ts";
import { AddedTokens } from "./added-tokens.ts";
import { type AddedToken, type BytePairModel, isFoundAsWritten } from "./byte-pair-tokenizer.ts";
import type { Encoder } from "./encoder.ts";
import { Merger } from "./merger.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** What SentencePiece writes for a space. */
const SPACE = "▁";

/**
 * The encoder of SentencePiece's BPEs with byte fallback, as Llama 2 and Gemma have them: a whole text
 * is one word. Its ids are those of `@huggingface/tokenizers`; it is some hundred times as fast.
 */
export class CharacterPairEncoder implements Encoder {
  readonly #added: AddedTokens;

  private constructor(
    added: readonly AddedToken[],
    private readonly merger: Merger,
    /** What is put before a text, and behind each added token. */
    private readonly prefix: string,
  ) {
    this.#added = new AddedTokens(added);
  }

  /**
   * The encoder of a tokenizer; undefined if the tokenizer is of another kind, or if its vocabulary
   * lacks a byte or what a merge makes.
   */
  static of(
    { tokenizer, config }: Pick<TokenizerFiles, "tokenizer" | "config">,
  ): CharacterPairEncoder | undefined {
    const { normalizer, pre_tokenizer, model, added_tokens: added } = tokenizer;
    const prefix = prefixOf(normalizer);
    const isOfThisKind = prefix !== undefined && pre_tokenizer === null &&
      isRecord(model) && isPlainModel(model) && Array.isArray(added) &&
      added.every((token) => isFoundAsWritten(token, model.vocab as Record<string, unknown>)) &&
      !config.remove_space && !config.do_lowercase_and_remove_accent;
    if (!isOfThisKind) return undefined;
    const merger = Merger.ofCharacters(model as unknown as BytePairModel);
    return merger && new CharacterPairEncoder(added, merger, prefix);
  }

  encode(text: string): number[] {
    return this.#added.encode(
      text,
      (section) => this.prefix + section.replaceAll(" ", SPACE),
      (section, ids) => this.merger.encode(section, ids),
    );
  }
}

/** What a normaliser that writes spaces as `▁` puts before a text; undefined for others. */
function prefixOf(normalizer: unknown): string | undefined {
  if (!isRecord(normalizer)) return undefined;
  if (writesSpaces(normalizer)) return "";
  const { type, normalizers: steps } = normalizer;
  if (type !== "Sequence" || !Array.isArray(steps) || steps.length !== 2) return undefined;
  const [first, second] = steps;
  const isPrepend = isRecord(first) && first.type === "Prepend" && first.prepend === SPACE;
  return isPrepend && isRecord(second) && writesSpaces(second) ? SPACE : undefined;
}

function writesSpaces({ type, pattern, content }: Record<string, unknown>): boolean {
  return type === "Replace" && isRecord(pattern) && pattern.String === " " && content === SPACE;
}

function isPlainModel(model: Record<string, unknown>): boolean {
  return model.type === "BPE" && isRecord(model.vocab) && Array.isArray(model.merges) &&
    model.byte_fallback === true && !model.ignore_merges && !model.continuing_subword_suffix &&
    !model.end_of_word_suffix;
}
