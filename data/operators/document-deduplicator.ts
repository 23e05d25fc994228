import { md5Words } from "./md5.ts";
import { type Deduplicator, defineOperator } from "./operator.ts";
import { SPACE, WORD } from "./unicode.ts";

const NOT_A_CHARACTER = new RegExp(`[${SPACE}]|\\p{Nd}|[^${WORD}]`, "gu");
const encoder = new TextEncoder();

/**
 * Drops documents that are equal to an earlier one, by half of their MD5; with `lowercase` in any
 * case, with `ignore_non_character` by their letters alone.
 */
export const documentDeduplicator = defineOperator(
  "document_deduplicator",
  { lowercase: false, ignore_non_character: false },
  ({ lowercase, ignore_non_character }): Deduplicator => ({
    kind: "deduplicator",
    distance: 0,
    blocks: 1,
    keepEmpty: false,
    fingerprint(text) {
      const folded = lowercase ? text.toLowerCase() : text;
      const compared = ignore_non_character ? folded.replace(NOT_A_CHARACTER, "") : folded;
      const bytes = encoder.encode(compared);
      const [low, high] = md5Words(bytes, 0, bytes.length);
      return BigInt(high >>> 0) << 32n | BigInt(low >>> 0);
    },
  }),
);
