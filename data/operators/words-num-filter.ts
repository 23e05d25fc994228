import { defineOperator, filter } from "./operator.ts";
import { splitterOf } from "./words.ts";

/**
 * Keeps texts by their number of words: with `tokenization` the pieces of a SentencePiece model;
 * with `split_han` (not Data-Juicer's) every Chinese character counts as one.
 */
export const wordsNumFilter = defineOperator(
  "words_num_filter",
  { lang: "en", tokenization: false, split_han: false, min_num: 10, max_num: Infinity },
  (values, models) => {
    const wordsOf = splitterOf(values, models);
    const { min_num: min, max_num: max } = values;
    return filter("num_words", { min, max }, (text) => wordsOf(text).length);
  },
);
