import type { PerplexitySettings } from "./perplexity/fit-recipe.ts";
import type { Recipe } from "./recipe.ts";
import type { TokenizeSettings } from "./tokenize.ts";

/** One part of the mixture, from files as they were published. */
export interface PrepareSource {
  name: string;
  files: string[];
  /** The corpus of its files, if its records do not show it. */
  corpus?: string;
  /** As the authors' scripts made text of it, their slips included. */
  asPublished?: boolean;
  /** By what its documents are cleaned; if undefined, they came clean. */
  recipe?: Recipe;
  /** By what perplexity is measured; if undefined, perplexity filters are left out. */
  perplexity?: PerplexitySettings;
  weight?: number;
}

/** Cleaned documents go to `clean/` in the folder of the shards. */
export interface PrepareSettings extends Omit<TokenizeSettings, "sources"> {
  sources: PrepareSource[];
}
