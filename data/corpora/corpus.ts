import { resolve } from "node:path";
import type { Document } from "../document.ts";
import { filesOf } from "../files/input-files.ts";
import { fileIdentity } from "../files/file-identity.ts";
import { readAllDocuments } from "../readers/read-file.ts";
import { cachedCorpus } from "../token-cache.ts";
import { type Ingredient, type TokenCorpus, tokenizeCorpus } from "../token-corpus.ts";
import type { Encoder } from "../tokenizer/encoder.ts";
import { embedded, EMBEDDED_EDITION } from "./embedded.ts";

/** Which text to train on, and how much of it. */
export interface CorpusSettings {
  /** `embedded`, or the paths of files, or of folders of files, that {@linkcode readAllDocuments} reads. */
  source: string[];
  /** About how many tokens to take, always whole documents; 0 takes everything. */
  tokens: number;
  /** The share of the documents that is held out for validation, from 0 to 1. */
  heldOut: number;
}

/** How the text of a corpus becomes tokens. */
export interface CorpusOptions {
  /** Gives the ids of a text. */
  tokenizer: Encoder;
  /** Identifies the tokenizer in the cache, such as a package with its version. */
  tokenizerName: string;
  /** The id that follows every document. */
  endToken: number;
  /** The folder that keeps the tokens for the next start. */
  cacheDir: string;
  /** Called with the number of tokens so far; not where they come from the cache. */
  onProgress?: (tokens: number) => void;
}

/**
 * The tokens of a corpus, from the cache if nothing that they depend on has changed.
 *
 * @throws UserError for a file that cannot be read, or a record of it that is not a document
 */
export async function loadCorpus(
  { source, tokens, heldOut }: CorpusSettings,
  { tokenizer, tokenizerName, endToken, cacheDir, onProgress }: CorpusOptions,
): Promise<TokenCorpus> {
  const text = isEmbedded(source)
    ? EMBEDDED_EDITION
    : await Promise.all((await filesOf(source)).map((path) => fileIdentity(resolve(path))));
  const key = { text, tokens, heldOut, tokenizerName, endToken };
  return cachedCorpus(cacheDir, key, () =>
    tokenizeCorpus(ingredientsOf(source), {
      tokenizer,
      endToken,
      tokens: tokens === 0 ? Infinity : tokens,
      heldOut,
      onProgress,
    }));
}

/** What a source is made of: the embedded text, or files and folders. */
export function ingredientsOf(source: string[]): Ingredient[] {
  return isEmbedded(source) ? embedded() : [{ documents: documentsOf(source), share: 1 }];
}

function isEmbedded(source: string[]): boolean {
  return source.length === 1 && source[0] === "embedded";
}

/** The documents of files and folders; the source of each is the file or folder that was named. */
async function* documentsOf(paths: string[]): AsyncIterable<Document> {
  for (const source of paths) {
    for (const path of await filesOf([source])) {
      for await (const { text, place } of readAllDocuments(path)) yield { text, place, source };
    }
  }
}
