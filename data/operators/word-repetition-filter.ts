import { requirePositive } from "./arguments.ts";
import { countNgrams } from "./ngrams.ts";
import { defineOperator, filter } from "./operator.ts";
import { splitterOf } from "./words.ts";

/**
 * Keeps texts by the share that repeated runs of `rep_len` words, without case, have among all:
 * with `tokenization` the pieces of a SentencePiece model; with `split_han` (not Data-Juicer's)
 * every Chinese character is a word.
 */
export const wordRepetitionFilter = defineOperator(
  "word_repetition_filter",
  { lang: "en", tokenization: false, split_han: false, rep_len: 10, min_ratio: 0, max_ratio: 0.5 },
  (values, models) => {
    const wordsOf = splitterOf(values, models);
    const { rep_len: length, min_ratio: min, max_ratio: max } = values;
    requirePositive(length, "word_repetition_filter.rep_len");
    return filter("word_rep_ratio", { min, max }, (text) => {
      const words = wordsOf(text).map((word) => word.toLowerCase());
      const { total, repeated } = countNgrams(numbered(words), length);
      return total === 0 ? 0 : repeated.reduce((sum, count) => sum + count, 0) / total;
    });
  },
);

/** Each word as a number, the same for the same word; single characters are their own. */
function numbered(words: string[]): Uint32Array {
  const numbers = new Map<string, number>();
  return Uint32Array.from(words, (word) => {
    if (word.length === 1) return word.charCodeAt(0);
    const number = numbers.get(word) ?? 0x10000 + numbers.size;
    numbers.set(word, number);
    return number;
  });
}
