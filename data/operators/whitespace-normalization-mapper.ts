import { defineOperator, mapper } from "./operator.ts";
import { strip } from "./unicode.ts";

const SPACES = /[\t\x84\xA0\u2000-\u200D\u202F\u205F\u2060\u3000\uFFFC]/g;

/** Strips the text, then replaces every space character, except line breaks, by the ASCII one. */
export const whitespaceNormalizationMapper = defineOperator(
  "whitespace_normalization_mapper",
  {},
  () => mapper((text) => strip(text).replace(SPACES, " ")),
);
