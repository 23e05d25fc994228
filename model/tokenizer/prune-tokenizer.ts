/**
 * Prunes a byte-level BPE to the tokens that a small run needs.
 *
 * A token is kept together with the two that it was merged from, and with theirs, down to single
 * bytes. BPE always applies the earliest merge that fits. If the full tokenizer encodes a text with
 * kept tokens only, all merges on the way were kept too, so the pruned one gives the same tokens. Any
 * other text becomes smaller tokens, single bytes at worst: encoding never fails.
 */
import { isRecord } from "../../data/files/is-record.ts";
import { formatJson } from "../../data/text/json.ts";
import { BYTE_TOKENS } from "../../data/tokenizer/byte-level.ts";
import { type BytePairTokenizer, pairOf } from "../../data/tokenizer/byte-pair-tokenizer.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A `tokenizer.json` that holds a byte-pair encoding. */
type BytePairJson = Record<string, unknown> & BytePairTokenizer;

/** Older files that would contradict the pruned tokenizer.json. */
const FILES_OF_IDS = ["vocab.json", "merges.txt", "added_tokens.json"];

/** The ids without which `idsUsed` would be encoded otherwise, or some text not at all. */
export function idsToKeep(files: TokenizerFiles, idsUsed: Iterable<number>): Set<number> {
  const { model: { vocab, merges }, added_tokens: added } = files.tokenizer as BytePairJson;
  const parts = new Map<number, [number, number]>();
  for (const [left, right] of merges.map(pairOf)) {
    const id = vocab[left + right];
    if (!parts.has(id)) parts.set(id, [vocab[left], vocab[right]]);
  }
  const kept = new Set<number>([
    ...idsUsed,
    ...BYTE_TOKENS.map((token) => vocab[token]),
    ...added.map(({ id }) => id),
  ]);
  // A set is walked in the order of insertion, including what is added on the way.
  for (const id of kept) parts.get(id)?.forEach((part) => kept.add(part));
  return kept;
}

/**
 * The same tokenizer with only the vocabulary's tokens, under their compact ids.
 *
 * @throws UserError if the vocabulary lacks a token that every text may need
 */
export function pruneTokenizerFiles(files: TokenizerFiles, vocabulary: Vocabulary): TokenizerFiles {
  const { model, added_tokens: added } = files.tokenizer as BytePairJson;
  const compact = (id: number) => vocabulary.toCompact([id])[0];
  const kept = Object.entries(model.vocab).filter(([, id]) => vocabulary.has(id));
  const tokens = new Set(kept.map(([token]) => token));
  const lost = [
    ...BYTE_TOKENS.filter((token) => !tokens.has(token)),
    ...added.filter(({ id }) => !vocabulary.has(id)).map(({ content }) => content),
  ];
  if (lost.length > 0) {
    throw new UserError(
      `the pruned vocabulary lacks ${lost.length} tokens that every text may need, ` +
        `such as ${JSON.stringify(lost[0])}; prune it again`,
    );
  }
  const tokenizer = {
    ...files.tokenizer,
    added_tokens: added.map((token) => ({ ...token, id: compact(token.id) })),
    model: {
      ...model,
      vocab: Object.fromEntries(kept.map(([token, id]) => [token, compact(id)])),
      merges: model.merges.filter((merge) => {
        const [left, right] = pairOf(merge);
        return tokens.has(left) && tokens.has(right) && tokens.has(left + right);
      }),
    },
  };
  const config = { ...files.config };
  if (isRecord(config.added_tokens_decoder)) {
    const entries = Object.entries(config.added_tokens_decoder);
    config.added_tokens_decoder = Object.fromEntries(
      entries.map(([id, token]) => [compact(Number(id)), token]),
    );
  }
  return {
    name: `${files.name} pruned to ${vocabulary.size} tokens`,
    tokenizer,
    config,
    texts: () => ({
      ...Object.fromEntries(
        Object.entries(files.texts()).filter(([name]) => !FILES_OF_IDS.includes(name)),
      ),
      "tokenizer.json": JSON.stringify(tokenizer),
      "tokenizer_config.json": formatJson(config),
    }),
  };
}
