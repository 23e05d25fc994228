import { createHash } from "node:crypto";
import { loadCorpus } from "../../data/corpora/corpus.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import { type PretrainingText, textOfCorpus } from "./pretraining-text.ts";

/**
 * The text of `data.source`, embedded or in files, from the cache if it was tokenized before.
 *
 * @param position where the run continues; undefined for a new run
 * @param say called now and then with the progress
 * @throws UserError if the position was taken in another text
 */
export async function corpusText(
  settings: PretrainSettings,
  position: unknown,
  say: (text: string) => void,
): Promise<PretrainingText> {
  const { data } = settings;
  return await textOfCorpus(settings, {
    qwen: await qwenTokenizer(),
    tokenize: (tokenizer, tokenizerName) =>
      loadCorpus(data, {
        tokenizer,
        tokenizerName,
        endToken: tokenizer.endOfDocument,
        cacheDir: data.cacheDir,
        onProgress: tokenizingProgress(tokenizerName, say),
      }),
    digest: ({ train, heldOut }) =>
      createHash("sha256").update(train).update(heldOut).digest("hex"),
  }, position);
}

/** Reports every 250,000 tokens. */
function tokenizingProgress(
  tokenizerName: string,
  say: (text: string) => void,
): (tokens: number) => void {
  let next = 250_000;
  return (tokens) => {
    if (tokens < next) return;
    say(`Tokenizing by ${tokenizerName}: ${tokens.toLocaleString("en")} tokens so far`);
    next = tokens + 250_000;
  };
}
