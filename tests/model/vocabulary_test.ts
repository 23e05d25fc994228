import { assert, assertEquals, assertThrows } from "@std/assert";
import { Tokenizer as OracleTokenizer } from "@huggingface/tokenizers";
import { Random } from "../../data/random.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { Vocabulary } from "../../model/tokenizer/vocabulary.ts";
import { loadTokenizer, qwenTokenizer } from "../../model/host/load-tokenizer.ts";

const FULL_SIZE = 151936;
const CORPUS =
  "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。<|im_end|>It's spring again; spring.";

const tokenizer = await qwenTokenizer();
const corpusIds = tokenizer.encode(CORPUS);
const vocabulary = tokenizer.prunedVocabulary(corpusIds, FULL_SIZE);
const pruned = tokenizer.withVocabulary(vocabulary);

Deno.test("ids map to compact ones and back, and the map survives being saved", () => {
  const saved = Vocabulary.fromJson(vocabulary.toJson(), "vocabulary.json");
  for (const map of [vocabulary, saved]) {
    const compact = map.toCompact(corpusIds);
    assert(compact.every((id) => id >= 0 && id < map.size));
    assertEquals(map.toFull(compact), corpusIds);
    assertEquals([map.size, map.fullSize], [vocabulary.size, FULL_SIZE]);
  }
  assertEquals(vocabulary.size + vocabulary.prunedIds().length, FULL_SIZE);
});

Deno.test("a token outside the map is an error", () => {
  const map = Vocabulary.of([7, 2, 2, 5], 10);
  assertEquals(map.toCompact([2, 5, 7]), [0, 1, 2]);
  assertThrows(() => map.toCompact([6]), UserError, "token 6 is not among the 3");
  assertThrows(() => map.toFull([3]), UserError, "token 3 is not in a vocabulary of 3");
  assertThrows(() => Vocabulary.of([10], 10), UserError, "token 10 is not in");
  const wrong = `{"full_size":10,"kept_ids":[2,2]}`;
  assertThrows(() => Vocabulary.fromJson(wrong, "v.json"), UserError, "v.json: ");
});

Deno.test("a pruned tokenizer encodes its corpus as before and every other text somehow", () => {
  assertEquals(pruned.encode(CORPUS), vocabulary.toCompact(corpusIds));
  for (const text of [CORPUS, "疑是银河落九天", "naïve 😀\u0000", "<|im_start|>user\n"]) {
    const ids = pruned.encode(text);
    assert(ids.every((id) => id >= 0 && id < vocabulary.size));
    assertEquals(pruned.decode(ids), text);
  }
  assertEquals(vocabulary.toFull([pruned.padding, pruned.endOfDocument]), [
    tokenizer.padding,
    tokenizer.endOfDocument,
  ]);
});

Deno.test("a pruned tokenizer has the ids of Hugging Face's tokenizers", () => {
  const files = pruned.files();
  const [json, config] = ["tokenizer.json", "tokenizer_config.json"].map((name) =>
    JSON.parse(files[name])
  );
  const oracle = new OracleTokenizer(json, config);
  const random = new Random(5);
  const characters = [...CORPUS, "<|im_end|>", "  ", "\r\n", "e\u0301", "it's", "ﬁ"];
  for (let i = 0; i < 500; i++) {
    const length = 1 + random.below(30);
    const text = Array.from(
      { length },
      () =>
        random.below(8) === 0
          ? String.fromCodePoint(random.below(0x110000))
          : characters[random.below(characters.length)],
    ).join("");
    const expected = oracle.encode(text, { add_special_tokens: false }).ids;
    assertEquals(pruned.encode(text), expected, JSON.stringify(text));
  }
});

Deno.test("a pruned tokenizer's files are a tokenizer of that size", async () => {
  const dir = await Deno.makeTempDir();
  const files = pruned.files();
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${dir}/${name}`, text);
  }
  const stored = await loadTokenizer(dir);
  assertEquals(stored.encode(CORPUS), pruned.encode(CORPUS));
  const { added_tokens_decoder: added } = JSON.parse(files["tokenizer_config.json"]);
  assertEquals(added[stored.endOfDocument].content, "<|im_end|>");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a vocabulary without the single bytes is refused", () => {
  const incomplete = Vocabulary.of(corpusIds, FULL_SIZE);
  assertThrows(() => tokenizer.withVocabulary(incomplete), UserError, "prune it again");
});

Deno.test("rows of a pruned model go to their places", () => {
  const map = Vocabulary.of([1, 3, 4], 6);
  const rows = Float32Array.of(1, 2, 3, 4, 5, 6); // [3, 2]
  assertEquals(
    map.expandEmbedding(rows, 2),
    Float32Array.of(0, 0, 1, 2, 0, 0, 3, 4, 5, 6, 0, 0),
  );
  // Pruned tokens get the mean of the rows of compact ids 0 and 2.
  const head = map.expandHead(rows, 2, [0, 2]);
  assertEquals(head, Float32Array.of(3, 4, 1, 2, 3, 4, 3, 4, 5, 6, 3, 4));
  assertThrows(() => map.expandEmbedding(rows, 3), RangeError, "expected [3, 3]");
});
