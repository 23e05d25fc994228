import { assert, assertEquals, assertThrows } from "@std/assert";
import { Tokenizer } from "@huggingface/tokenizers";
import { BytePairEncoder, type TokenizerJson } from "../../data/tokenizing/byte-pair-encoder.ts";
import { Random } from "../../data/random.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { qwenTokenizerFiles } from "../../model/tokenizer/tokenizer-files.ts";

const { tokenizer, config } = await qwenTokenizerFiles();
const encoder = new BytePairEncoder(tokenizer as unknown as TokenizerJson);

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

Deno.test("ids are those of Hugging Face's tokenizers for every string", () => {
  const oracle = new Tokenizer(tokenizer, config);
  const random = new Random(7);
  for (let i = 0; i < 2000; i++) {
    // Half of the strings are of one kind of part, half of all kinds.
    const kind = random.below(2) === 0 ? PARTS[random.below(PARTS.length)] : undefined;
    const length = 1 + random.below(24);
    const text = Array.from(
      { length },
      () => (kind ?? PARTS[random.below(PARTS.length)])(random),
    ).join("");
    const expected = oracle.encode(text, { add_special_tokens: false }).ids;
    assertEquals(encoder.encode(text), expected, JSON.stringify(text));
  }
});

Deno.test("a long run without spaces takes no more than linear time and memory", () => {
  const ids = encoder.encode("一二三四五六七八九十".repeat(50_000));
  assert(ids.length > 100_000 && ids.length < 500_000);
  assertEquals(encoder.encode(""), []);
});

Deno.test("a tokenizer of another kind is refused", () => {
  const other = { ...tokenizer, normalizer: null } as unknown as TokenizerJson;
  assertThrows(() => new BytePairEncoder(other), UserError, "no byte-level BPE of Qwen's kind");
});
