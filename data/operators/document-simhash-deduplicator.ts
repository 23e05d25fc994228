import { UserError } from "../../kernels/runtime/user-error.ts";
import { md5Words } from "./md5.ts";
import { requirePositive } from "./arguments.ts";
import { type Deduplicator, defineOperator } from "./operator.ts";
import { pythonPattern } from "./python-pattern.ts";
import { isHighSurrogate, isLowSurrogate } from "./unicode.ts";

/**
 * Drops documents whose simhash (Charikar 2002, doi:10.1145/509907.509965) is near that of an
 * earlier one: of each group connected by Hamming distances up to `hamming_distance` only the first
 * document stays.
 *
 * Documents without a whole window of tokens have the simhash 0 and are one group: with `space`
 * that is most Chinese. `keep_empty` (not Data-Juicer's) keeps them all. `april_2024` (not
 * Data-Juicer's) leaves out the last window, as Data-Juicer did until April 2025.
 */
export const documentSimhashDeduplicator = defineOperator(
  "document_simhash_deduplicator",
  {
    tokenization: "space",
    window_size: 6,
    lowercase: true,
    ignore_pattern: null,
    num_blocks: 6,
    hamming_distance: 4,
    april_2024: false,
    keep_empty: false,
  },
  (values): Deduplicator => {
    const { tokenization, window_size: window, num_blocks, hamming_distance: distance } = values;
    if (!Object.hasOwn(tokenizations, tokenization)) {
      throw new UserError(
        `document_simhash_deduplicator.tokenization is "${tokenization}": it must be one of ` +
          Object.keys(tokenizations).join(", "),
      );
    }
    requirePositive(window, "document_simhash_deduplicator.window_size");
    requireSound(distance, num_blocks);
    const owner = "document_simhash_deduplicator.ignore_pattern";
    const ignored = values.ignore_pattern === null
      ? null
      : pythonPattern(values.ignore_pattern, owner, "[^\\n]");
    return {
      kind: "deduplicator",
      distance,
      blocks: num_blocks,
      keepEmpty: values.keep_empty,
      fingerprint(text) {
        let normalized = values.lowercase ? text.toLowerCase() : text;
        if (ignored !== null) normalized = normalized.replace(ignored, "");
        return simhash(tokenizations[tokenization](normalized), window, values.april_2024 ? 1 : 0);
      },
    };
  },
);

/** The most ways to choose blocks: each of them takes a pass over all documents. */
const MOST_CHOICES = 10_000;

/**
 * Throws UserError for a distance that cannot be found with these blocks, or not in reasonable
 * time.
 */
function requireSound(distance: number, blocks: number): void {
  const given = `document_simhash_deduplicator.hamming_distance is ${distance} and num_blocks is ` +
    `${blocks}: `;
  if (![distance, blocks].every(Number.isInteger) || distance < 0 || distance >= blocks) {
    throw new UserError(`${given}both must be whole numbers, the distance less than the blocks`);
  }
  let choices = 1;
  for (let i = 0; i < distance; i++) choices *= (blocks - i) / (i + 1);
  if (blocks > 64 || choices > MOST_CHOICES) {
    throw new UserError(
      `${given}there are at most 64 blocks, and at most ${MOST_CHOICES} ways to choose so many of ` +
        `them as the distance; give fewer`,
    );
  }
}

/** Tokens in the order of the text, and the text between two of them in a shingle. */
interface Tokens {
  tokens: string[];
  joint: string;
}

const tokenizations: Record<string, (text: string) => Tokens> = {
  space: (text) => ({ tokens: text.split(" ").filter((token) => token !== ""), joint: " " }),
  punctuation: (text) => ({ tokens: text.split(/\p{P}/u), joint: " " }),
  character: (text) => ({ tokens: [...text], joint: "" }),
};

const encoder = new TextEncoder();

/**
 * The simhash of all windows of tokens: a bit is set if more than half of the windows' hashes (the
 * first eight bytes of MD5, big-endian) have it. 0 if there is no window.
 */
function simhash({ tokens, joint }: Tokens, window: number, leftOut: number): bigint {
  const shingles = tokens.length - window + 1 - leftOut;
  if (shingles <= 0) return 0n;
  const bytes = encoder.encode(tokens.join(joint));
  const ends = tokenEnds(tokens, joint.length);
  const ones = new Int32Array(64);
  for (let first = 0; first < shingles; first++) {
    const start = first === 0 ? 0 : ends[first - 1] + joint.length;
    const md5 = md5Words(bytes, start, ends[first + window - 1]);
    const low = md5[0], high = md5[1];
    for (let bit = 0; bit < 32; bit++) {
      ones[bit] += low >>> bit & 1;
      ones[32 + bit] += high >>> bit & 1;
    }
  }
  let hash = 0n;
  for (let bit = 0; bit < 64; bit++) {
    // Bit 0 counts from the last of the eight bytes, while MD5's words begin with the first.
    const inWords = 8 * (7 - (bit >> 3)) + (bit & 7);
    if (2 * ones[inWords] > shingles) hash |= 1n << BigInt(bit);
  }
  return hash;
}

/** Where each token ends in the UTF-8 of all, joined. */
function tokenEnds(tokens: string[], jointLength: number): Uint32Array {
  const ends = new Uint32Array(tokens.length);
  let end = -jointLength;
  for (let i = 0; i < tokens.length; i++) {
    end += jointLength + utf8Length(tokens[i]);
    ends[i] = end;
  }
  return ends;
}

function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      length += 4;
      i++;
    } else length += 3;
  }
  return length;
}
