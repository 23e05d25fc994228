import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { renderChat } from "../../model/tokenizer/chat-ml.ts";
import type { ChatMessage } from "../../model/tokenizer/chat-template.ts";
import { loadTokenizer, qwenTokenizer } from "../../model/host/load-tokenizer.ts";

const tokenizer = await qwenTokenizer();

Deno.test("texts have the ids of Qwen1.5's tokenizer", () => {
  const expected: Record<string, number[]> = {
    "A": [32],
    " D": [422],
    "\n\n": [271],
    "。\n\n": [3407],
    "答案：A": [102349, 5122, 32],
    "答案： A": [102349, 5122, 362],
    "\n答案：": [198, 102349, 5122],
    "答案: ": [102349, 25, 220],
    "Answer: A": [16141, 25, 362],
    "": [],
  };
  for (const [text, ids] of Object.entries(expected)) {
    assertEquals(tokenizer.encode(text), ids);
    assertEquals(tokenizer.decode(ids), text);
  }
});

Deno.test("special tokens are recognised in a text and can be left out again", () => {
  const ids = tokenizer.encode("<|im_start|>user\nA<|im_end|><|endoftext|>");
  assertEquals(ids, [151644, 872, 198, 32, 151645, 151643]);
  assertEquals([tokenizer.endOfDocument, tokenizer.padding], [151645, 151643]);
  assertEquals(tokenizer.stopIds, [151645, 151643]);
  assertEquals(tokenizer.decode(ids, { skipSpecial: true }), "user\nA");
  assertEquals(tokenizer.decode(ids), "<|im_start|>user\nA<|im_end|><|endoftext|>");
});

Deno.test("a chat is ChatML with the default system message", () => {
  const prompt = renderChat([{ role: "user", content: "" }], { addGenerationPrompt: true });
  assertEquals(tokenizer.encode(prompt), [
    ...[151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198],
    ...[151644, 872, 198, 151645, 198],
    ...[151644, 77091, 198],
  ]);
  const messages: ChatMessage[] = [
    { role: "system", content: "简短回答。" },
    { role: "user", content: "1+1=?" },
    { role: "assistant", content: "2" },
  ];
  assertEquals(
    renderChat(messages),
    "<|im_start|>system\n简短回答。<|im_end|>\n<|im_start|>user\n1+1=?<|im_end|>\n" +
      "<|im_start|>assistant\n2<|im_end|>\n",
  );
  const tool = JSON.parse(`[{"role":"tool","content":""}]`);
  assertThrows(() => renderChat(tool), UserError, `the role "tool"; expected system, user`);
});

Deno.test("a stream holds characters back until they are complete", () => {
  const text = "龘😀 é\ufeff!";
  const ids = tokenizer.encode(text);
  const stream = tokenizer.createDecodeStream();
  const parts = ids.map((id) => stream.push(id));
  assertEquals(parts.join("") + stream.flush(), text);
  assert(parts.includes(""), "some token is only part of a character");
  assert(parts.every((part) => !part.includes("\ufffd")));

  const [firstByte] = tokenizer.encode("龘");
  assertEquals(stream.push(firstByte), "");
  assertEquals(stream.flush(), "\ufffd");
  assertEquals(tokenizer.decode([firstByte, 32, 151900]), "\ufffdA"); // 151900 has no token
});

Deno.test("the files stored with a checkpoint give the same tokenizer", async () => {
  const dir = await Deno.makeTempDir();
  const files = tokenizer.files();
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${dir}/${name}`, text);
  }
  const text = "床前明月光 <|im_end|> it's 2024年";
  const stored = await loadTokenizer(dir);
  assertEquals(stored.encode(text), tokenizer.encode(text));
  assertEquals(stored.files(), files);

  // Older checkpoints keep the same tokenizer in two files.
  const { vocab, merges } = JSON.parse(files["tokenizer.json"]).model;
  await Deno.remove(`${dir}/tokenizer.json`);
  await Deno.writeTextFile(`${dir}/vocab.json`, JSON.stringify(vocab));
  for (const end of ["\n", "\r\n", "\r"]) {
    await Deno.writeTextFile(`${dir}/merges.txt`, ["#version: 0.2", ...merges, ""].join(end));
    const older = await loadTokenizer(dir);
    assertEquals(older.encode(text), tokenizer.encode(text));
    assertEquals(older.decode(older.encode(text)), text);
  }
  await Deno.writeTextFile(`${dir}/merges.txt`, "#version: 0.2\nĠ t\nĠ\n");
  await assertRejects(() => loadTokenizer(dir), UserError, `${dir}/merges.txt:3: expected two`);
  await Deno.remove(dir, { recursive: true });
});

/** Published patterns, which are to be let pass. */
const PUBLISHED = {
  "GPT-2": "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "GPT-4 and Llama 3": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "GPT-4o": "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*" +
    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|" +
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "DeepSeek-V3": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" +
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|" +
    "\\s+(?!\\S)|\\s+",
  "DeepSeek-LLM": "\\s+$",
  "SuperBPE": "(?=(\\d{3})+(?!\\d))",
};

/** Patterns that take for ever for some text, with what is wrong with each. */
const ENDLESS = {
  "(a+)+$": "repeats a group that can match in several ways",
  "(?:\\p{L}|中)*!": "repeats a group that can match in several ways",
  "((a)*)*b": "repeats a group that can match in several ways",
  "(a)\\1+": "looks back at a group",
  [`${"a?".repeat(30)}${"a".repeat(30)}`]: "has too many choices in a row",
  [`${"(?:a|aa)".repeat(30)}b`]: "has too many choices in a row",
  ".*.*=": "takes far too long for some texts",
  "(": "cannot be used",
};

Deno.test("a pattern that could take for ever is refused, and ids that no vocabulary has", async () => {
  const dir = await Deno.makeTempDir();
  const whole = JSON.parse(tokenizer.files()["tokenizer.json"]);
  // A small one, of which each reading is fast.
  const bytes = Object.entries<number>(whole.model.vocab).filter(([token]) => token.length === 1);
  whole.model = { ...whole.model, vocab: Object.fromEntries(bytes), merges: [] };
  const { pre_tokenizer: { pretokenizers: [split, byteLevel] }, added_tokens } = whole;
  const load = async (change: object) => {
    await Deno.writeTextFile(`${dir}/tokenizer.json`, JSON.stringify({ ...whole, ...change }));
    return await loadTokenizer(dir);
  };
  const withPattern = (Regex: string) => ({
    pre_tokenizer: {
      ...{ type: "Sequence", pretokenizers: [{ ...split, pattern: { Regex } }, byteLevel] },
    },
  });
  for (const [pattern, fault] of Object.entries(ENDLESS)) {
    const { message } = await assertRejects(() => load(withPattern(pattern)), UserError, fault);
    assert(message.startsWith(`${dir}: `), message);
  }
  for (const pattern of Object.values(PUBLISHED)) {
    assert((await load(withPattern(pattern))).encode("一 a").length > 0, pattern);
  }
  for (const id of [1e12, -1, 0.5, "1"]) {
    const added = [...added_tokens, { content: "<far>", id, special: true }];
    await assertRejects(() => load({ added_tokens: added }), UserError, '"<far>" has the id');
    const vocab = { ...whole.model.vocab, far: id };
    await assertRejects(() => load({ model: { ...whole.model, vocab } }), UserError, '"far" has');
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a folder without a usable tokenizer is refused", async () => {
  const dir = await Deno.makeTempDir();
  await assertRejects(() => loadTokenizer(dir), UserError, "there is no tokenizer");
  await Deno.writeTextFile(`${dir}/tokenizer.json`, "[]");
  await assertRejects(() => loadTokenizer(dir), UserError, "expected a JSON object");
  await Deno.writeTextFile(`${dir}/tokenizer.json`, "{}");
  await assertRejects(() => loadTokenizer(dir), UserError, "cannot be used");
  await Deno.remove(dir, { recursive: true });
});
