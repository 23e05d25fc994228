import type { PerplexitySettings } from "./perplexity/fit-recipe.ts";
import type { Recipe } from "./recipe.ts";
import type { TokenizeSettings } from "./tokenize.ts";

/** A part of the mixture, from files as they were published. */
export interface PrepareSource {
  /** Its name in the reports and the manifest. */
  name: string;
  /** Files of documents, as they were published. */
  files: string[];
  /** The corpus of its files, if the fields of its records do not show it. */
  corpus?: string;
  /** Whether texts are made as the authors' scripts made them, their mistakes included. */
  asPublished?: boolean;
  /** The recipe that cleans its documents; if undefined, they are taken as they are. */
  recipe?: Recipe;
  /** How perplexity is measured; if undefined, perplexity filters are left out. */
  perplexity?: PerplexitySettings;
  /** Its share, relative to the weights of the others; if no source has one, all is taken. */
  weight?: number;
}

/** What to prepare; cleaned documents go to `clean/` in the folder of the shards. */
export interface PrepareSettings extends Omit<TokenizeSettings, "sources"> {
  /** The parts of the mixture. */
  sources: PrepareSource[];
}
