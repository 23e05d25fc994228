import { isRecord } from "../files/is-record.ts";

/** A token that is found in a text before anything else is done to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether decoding can leave it out, as it does `<|im_end|>`. */
  readonly special?: boolean;
}

/** The model of a byte-pair encoding, as `tokenizer.json` holds it. */
export interface BytePairModel {
  /** Ids by token; tokens are written in the alphabet of byte-level BPE. */
  readonly vocab: Readonly<Record<string, number>>;
  /** Pairs of tokens in the order in which they were learned. */
  readonly merges: readonly Merge[];
}

/** Two tokens that become one; older files write them as one text with a space between. */
export type Merge = string | readonly [left: string, right: string];

/** The parts of a `tokenizer.json` of Qwen's kind that encoding reads. */
export interface BytePairTokenizer {
  readonly pre_tokenizer: {
    readonly pretokenizers: readonly [
      split: { readonly pattern: { readonly Regex: string } },
      bytes: object,
    ];
  };
  readonly added_tokens: readonly AddedToken[];
  readonly model: BytePairModel;
}

/** The two tokens of a merge. */
export function pairOf(merge: Merge): readonly [left: string, right: string] {
  if (typeof merge !== "string") return merge;
  const [left, right] = merge.split(" ", 2);
  return [left, right];
}

/**
 * Whether a tokenizer is of Qwen's kind: byte-level BPE after NFC and a split by one expression, with
 * added tokens that are looked for as they are written.
 *
 * @param tokenizer a parsed `tokenizer.json`
 * @param config a parsed `tokenizer_config.json`
 */
export function isBytePairTokenizer(
  tokenizer: Record<string, unknown>,
  config: Record<string, unknown>,
): tokenizer is Record<string, unknown> & BytePairTokenizer {
  const { normalizer, pre_tokenizer, model, added_tokens } = tokenizer;
  return isRecord(normalizer) && normalizer.type === "NFC" &&
    isRecord(pre_tokenizer) && splitsThenWritesBytes(pre_tokenizer) &&
    isRecord(model) && isPlainBytePairModel(model) &&
    Array.isArray(added_tokens) &&
    added_tokens.every((token) => isFoundAsWritten(token, model.vocab)) &&
    !config.remove_space && !config.do_lowercase_and_remove_accent;
}

function splitsThenWritesBytes({ type, pretokenizers: steps }: Record<string, unknown>): boolean {
  if (type !== "Sequence" || !Array.isArray(steps) || steps.length !== 2) return false;
  const [split, bytes] = steps;
  return isRecord(split) && split.type === "Split" && split.behavior === "Isolated" &&
    !split.invert && isRecord(split.pattern) && typeof split.pattern.Regex === "string" &&
    isRecord(bytes) && bytes.type === "ByteLevel" && !bytes.add_prefix_space &&
    bytes.use_regex === false;
}

function isPlainBytePairModel(
  model: Record<string, unknown>,
): model is { vocab: Record<string, unknown>; merges: unknown[] } {
  return model.type === "BPE" && isRecord(model.vocab) && Array.isArray(model.merges) &&
    !model.ignore_merges && !model.continuing_subword_suffix && !model.end_of_word_suffix;
}

/** Whether a token is looked for before a text is normalised, takes no spaces with it, and has one id. */
export function isFoundAsWritten(token: unknown, vocab: Record<string, unknown>): boolean {
  if (!isRecord(token) || typeof token.content !== "string" || token.content === "") return false;
  const { content, id, special, normalized = !special, lstrip, rstrip } = token;
  return !normalized && !lstrip && !rstrip &&
    (!Object.hasOwn(vocab, content) || vocab[content] === id);
}
