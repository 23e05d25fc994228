/** Random and awkward texts, for comparing tokenizers. */
import type { Random } from "../../data/random.ts";

/** What tokenizers take special care of. */
const CASES = [
  ...["'s", "'LL", "'ſ", "don't", " n't", " .", "hello world ", "CamelCase", "x/y\n"],
  ...["\r\n", " \n ", "\t\t", "   ", "\x85", "\u3000", "\uFEFF", "\u2028", "123", "３", "4567"],
  ...["é", "e\u0301", "가", "\uD800", "\uDC00", "👩‍👩‍👧", "𠮷", "，。", "aaaaaaaa"],
  ...[
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|im_",
    "<s>",
    "</s>",
    "<0x41>",
    "▁",
    "▁▁",
    "Ġ",
  ],
];

/** What texts are made of: any code point, ASCII, Latin and its neighbours, Chinese, and cases. */
const PARTS: ((random: Random, cases: readonly string[]) => string)[] = [
  (random) => String.fromCodePoint(random.below(0x110000)),
  (random) => String.fromCharCode(random.below(0x80)),
  (random) => String.fromCharCode(random.below(0x3000)),
  (random) => String.fromCharCode(0x4E00 + random.below(0x5200)),
  (random, cases) => cases[random.below(cases.length)],
];

/**
 * A text of up to 24 parts, half of the texts of one kind of part, the others of all kinds.
 *
 * @param tokens what else may stand in it, such as added tokens
 */
export function randomText(random: Random, tokens: readonly string[] = []): string {
  const cases = [...CASES, ...tokens];
  const kind = random.below(2) === 0 ? PARTS[random.below(PARTS.length)] : undefined;
  return Array.from(
    { length: 1 + random.below(24) },
    () => (kind ?? PARTS[random.below(PARTS.length)])(random, cases),
  ).join("");
}
