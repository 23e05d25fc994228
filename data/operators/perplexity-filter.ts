import { defineOperator, filter, ModelMissing } from "./operator.ts";

/**
 * Keeps texts by their perplexity under a language model. Perplexities of different models cannot
 * be compared, so the filter is left out rather than applied to a model other than the user's own.
 */
export const perplexityFilter = defineOperator(
  "perplexity_filter",
  { lang: "en", min_ppl: 0, max_ppl: 1500 },
  ({ min_ppl: min, max_ppl: max }, { perplexity }) => {
    if (perplexity === undefined) {
      throw new ModelMissing(
        "it needs a model (--perplexity-model and --sentencepiece) or good text to make one of " +
          "(--perplexity-reference)",
      );
    }
    return filter("perplexity", { min, max }, perplexity);
  },
);
