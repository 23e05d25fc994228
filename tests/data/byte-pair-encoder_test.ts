import { assert, assertEquals } from "@std/assert";
import { Tokenizer } from "@huggingface/tokenizers";
import { Random } from "../../data/random.ts";
import { BytePairEncoder } from "../../data/tokenizer/byte-pair-encoder.ts";
import { encoderOf } from "../../data/tokenizer/encoder-of.ts";
import { qwenTokenizerFiles } from "../../data/tokenizer/load-tokenizer-files.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";

const qwen = await qwenTokenizerFiles();

/** What random strings are made of: any code point, and what a tokenizer takes special care of. */
const PARTS: ((random: Random) => string)[] = [
  (random) => String.fromCodePoint(random.below(0x110000)),
  (random) => String.fromCharCode(random.below(0x80)),
  (random) => String.fromCharCode(random.below(0x3000)),
  (random) => String.fromCharCode(0x4E00 + random.below(0x5200)),
  (random) => CASES[random.below(CASES.length)],
];
const CASES = [
  ...["'s", "'LL", "'ſ", "don't", "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|im_"],
  ...["\r\n", " \n ", "\t\t", "   ", "\x85", "\u3000", "\uFEFF", "\u2028", "123", "３"],
  ...["é", "e\u0301", "가", "\uD800", "\uDC00", "👩‍👩‍👧", "𠮷", "，。", "aaaaaaaa"],
];

/** What the reference makes of a text. */
function oracleOf({ tokenizer, config }: TokenizerFiles): (text: string) => number[] {
  const oracle = new Tokenizer(tokenizer, config);
  return (text) => oracle.encode(text, { add_special_tokens: false }).ids;
}

/** Qwen's files with another part of the `tokenizer.json`, or of its configuration. */
function altered(tokenizer: Record<string, unknown>, config = {}): TokenizerFiles {
  return {
    ...qwen,
    tokenizer: { ...qwen.tokenizer, ...tokenizer },
    config: { ...qwen.config, ...config },
  };
}

function withAddedToken(token: Record<string, unknown>): TokenizerFiles {
  const added = qwen.tokenizer.added_tokens as unknown[];
  return altered({ added_tokens: [...added, { id: 151700, ...token }] });
}

Deno.test("ids are those of Hugging Face's tokenizers for every string", () => {
  const encoder = BytePairEncoder.of(qwen)!;
  const expected = oracleOf(qwen);
  const random = new Random(7);
  for (let i = 0; i < 2000; i++) {
    // Half of the strings are of one kind of part, half of all kinds.
    const kind = random.below(2) === 0 ? PARTS[random.below(PARTS.length)] : undefined;
    const length = 1 + random.below(24);
    const text = Array.from(
      { length },
      () => (kind ?? PARTS[random.below(PARTS.length)])(random),
    ).join("");
    assertEquals(encoder.encode(text), expected(text), JSON.stringify(text));
  }
});

Deno.test("a long run without spaces takes no more than linear time and memory", () => {
  const encoder = BytePairEncoder.of(qwen)!;
  const ids = encoder.encode("一二三四五六七八九十".repeat(50_000));
  assert(ids.length > 100_000 && ids.length < 500_000);
  assertEquals(encoder.encode(""), []);
});

Deno.test("where an added token is what NFC makes of a text, the ids are the reference's too", () => {
  const files = withAddedToken({ content: "café", special: true });
  const encoder = BytePairEncoder.of(files)!;
  for (const text of ["cafe\u0301", "a cafe\u0301", "a café", "<|im_end|>cafe\u0301"]) {
    assertEquals(encoder.encode(text), oracleOf(files)(text), text);
  }
});

Deno.test("a tokenizer of another kind is left to Hugging Face's tokenizers", () => {
  const model = qwen.tokenizer.model as { vocab: Record<string, number>; merges: string[] };
  const { "!": _, ...withoutByte } = model.vocab;
  const others = [
    altered({ normalizer: null }),
    altered({ normalizer: { type: "NFKC" } }),
    altered({ model: { ...model, ignore_merges: true } }),
    altered({ model: { ...model, vocab: withoutByte } }),
    altered({}, { do_lowercase_and_remove_accent: true }),
    withAddedToken({ content: "<word>", special: true, lstrip: true }),
    withAddedToken({ content: "Ünder", special: false }),
    withAddedToken({ content: "dog", special: true }),
  ];
  for (const files of others) assertEquals(BytePairEncoder.of(files), undefined);
  const text = "x <word> it's";
  const strips = withAddedToken({ content: "<word>", special: true, lstrip: true });
  assertEquals(encoderOf(strips).encode(text), oracleOf(strips)(text));
});
