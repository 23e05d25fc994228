import { ingredientsOf } from "../../data/corpora/corpus.ts";
import type { Document } from "../../data/document.ts";
import { type Ingredient, tokenizeCorpus } from "../../data/token-corpus.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import type { SiteWriter } from "../../model/host/site/site-writer.ts";
import type { SitePiece } from "../../model/web/site-manifest.ts";
import type { Words } from "../../data/page/words.ts";
import { type PretrainSettings, pretrainSettings } from "../settings/pretrain-settings.ts";
import type { Given } from "../settings/settings-schema.ts";
import { type DocumentList, DOCUMENTS_FILE, TRAINER_FILE } from "./trainer-files.ts";
import { trainerHtml } from "./trainer-html.ts";

/**
 * Adds to a site a page that trains the default model of pretraining in its visitor's browser.
 *
 * @param given settings that are not to be as in `pretrain.yaml`
 * @returns a link to the page
 * @throws UserError if Qwen's tokenizer or the text cannot be had
 */
export async function addTrainer(
  site: SiteWriter,
  title: string,
  given: Given<PretrainSettings> = {},
): Promise<Record<string, Words>> {
  const settings = await pretrainSettings(given);
  const qwen = await qwenTokenizer();
  const documents = JSON.stringify(await documentsToTrainOn(settings));
  const files: Record<string, SitePiece[]> = {};
  for (const [name, text] of Object.entries({ ...qwen.files(), [DOCUMENTS_FILE]: documents })) {
    files[name] = await site.pieces(name, text);
  }
  await site.script("trainer.js", new URL("trainer-page.ts", import.meta.url));
  await site.page("trainer.html", trainerHtml(title, settings));
  await site.page(TRAINER_FILE, JSON.stringify({ settings, files }));
  return { "trainer.html": { en: "Train a model", zh: "训练模型" } };
}

/** The documents from which a run with these settings takes its tokens. */
async function documentsToTrainOn({ data }: PretrainSettings): Promise<DocumentList[]> {
  const qwen = await qwenTokenizer();
  const lists = ingredientsOf(data.source).map(({ share, documents }) => ({
    share,
    documents,
    read: [],
  }));
  await tokenizeCorpus(lists.map(recording), {
    tokenizer: qwen,
    endToken: qwen.endOfDocument,
    tokens: data.tokens === 0 ? Infinity : data.tokens,
    heldOut: data.heldOut,
  });
  return lists.map(({ share, read }) => ({ share, documents: read }));
}

/** Notes down the documents that are read. */
function recording({ share, documents, read }: Ingredient & { read: Document[] }): Ingredient {
  const noted = async function* () {
    for await (const document of documents) {
      read.push(document);
      yield document;
    }
  };
  return { share, documents: noted() };
}
