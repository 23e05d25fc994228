/** What a site holds for its trainer: `trainer.json`, written by the export and read by the page. */
import type { Document } from "../../data/document.ts";
import type { Ingredient } from "../../data/token-corpus.ts";
import type { SiteContents } from "../../model/web/site-manifest.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";

/** The file of a site that says what the trainer has. */
export const TRAINER_FILE = "trainer.json";
/** The file with the text of `data.source`; see {@linkcode DocumentList}. */
export const DOCUMENTS_FILE = "documents.json";

/** What `trainer.json` says. */
export interface TrainerManifest {
  /** Settings of pretraining that the visitor may change. */
  readonly settings: PretrainSettings;
  /** Qwen's tokenizer, and the text. */
  readonly files: SiteContents;
}

/** Documents with their share of the tokens; JSON. */
export interface DocumentList {
  readonly share: number;
  readonly documents: readonly Document[];
}

/** Lists as a corpus is made of them. */
export function listedIngredients(lists: readonly DocumentList[]): Ingredient[] {
  return lists.map(({ share, documents }) => ({ share, documents: each(documents) }));
}

/**
 * A text that was pasted, as documents: empty lines separate them, or else every line is one.
 */
export function documentsOfText(pasted: string): DocumentList {
  const text = pasted.replaceAll(/\r\n?/g, "\n").trim();
  const separator = /\n\s*\n/.test(text) ? /\n\s*\n/ : /\n/;
  const documents = text.split(separator).filter((part) => part.trim() !== "")
    .map((part, index) => ({ text: part, source: "pasted", place: `document ${index + 1}` }));
  return { share: 1, documents };
}

async function* each(documents: readonly Document[]): AsyncGenerator<Document> {
  yield* documents;
}
