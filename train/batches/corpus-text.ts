import { createHash } from "node:crypto";
import { loadCorpus } from "../../data/corpora/corpus.ts";
import type { TokenCorpus } from "../../data/token-corpus.ts";
import type { Encoder } from "../../data/tokenizer/encoder.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import {
  blocksOfCorpus,
  type OwnVocabulary,
  type PretrainingText,
  textOfCorpus,
} from "./pretraining-text.ts";

/**
 * The text of `data.source`, embedded or in files, from the cache if it was tokenized before.
 *
 * @param position where the run continues; undefined for a new run
 * @param own of a checkpoint that is trained further; Qwen's when left out
 * @param say called now and then with the progress
 * @throws UserError if the position was taken in another text
 */
export async function corpusText(
  settings: PretrainSettings,
  position: unknown,
  own: OwnVocabulary | undefined,
  say: (text: string) => void,
): Promise<PretrainingText> {
  const { data } = settings;
  const tokenize = (encoder: Encoder, name: string, { endOfDocument }: Tokenizer) =>
    loadCorpus(data, {
      tokenizer: encoder,
      tokenizerName: name,
      endToken: endOfDocument,
      cacheDir: data.cacheDir,
      onProgress: tokenizingProgress(name, say),
    });
  if (own) {
    const { tokenizer } = own;
    const name = `the checkpoint's own tokenizer (${digestOfFiles(tokenizer).slice(0, 16)})`;
    const documents = { encode: (text: string) => tokenizer.encodePrompt(text) };
    const corpus = await tokenize(documents, name, tokenizer);
    return { ...own, ...blocksOfCorpus(settings, corpus, digestOfCorpus(corpus), position) };
  }
  return await textOfCorpus(settings, {
    qwen: await qwenTokenizer(),
    tokenize: (tokenizer, name) => tokenize(tokenizer, name, tokenizer),
    digest: digestOfCorpus,
  }, position);
}

function digestOfCorpus({ train, heldOut }: TokenCorpus): string {
  return createHash("sha256").update(train).update(heldOut).digest("hex");
}

function digestOfFiles(tokenizer: Tokenizer): string {
  return createHash("sha256").update(JSON.stringify(tokenizer.files())).digest("hex");
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
