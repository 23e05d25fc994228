import { defineOperator, filter, ModelMissing } from "./operator.ts";
import { codePointLength, CodePointSet } from "./unicode.ts";

const LETTERS = CodePointSet.matching(/\p{L}/u);
const LETTERS_AND_NUMBERS = CodePointSet.matching(/[\p{L}\p{N}]/u);

/**
 * Keeps texts by their share of letters and numbers, Chinese characters among them; with
 * `tokenization`, by their letters per token of the tokenizer given.
 */
export const alphanumericFilter = defineOperator(
  "alphanumeric_filter",
  { tokenization: false, min_ratio: 0.25, max_ratio: Infinity },
  ({ tokenization, min_ratio: min, max_ratio: max }, { tokenizer }) => {
    if (!tokenization) {
      return filter(
        "alnum_ratio",
        { min, max },
        (text) => ratio(LETTERS_AND_NUMBERS.count(text), codePointLength(text)),
      );
    }
    if (tokenizer === undefined) {
      throw new ModelMissing("with tokenization it needs a tokenizer: give --tokenizer");
    }
    return filter(
      "alpha_token_ratio",
      { min, max },
      (text) => ratio(LETTERS.count(text), tokenizer.encode(text).length),
    );
  },
);

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
