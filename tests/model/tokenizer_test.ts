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

Deno.test("a folder without a usable tokenizer is refused", async () => {
  const dir = await Deno.makeTempDir();
  await assertRejects(() => loadTokenizer(dir), UserError, "there is no tokenizer");
  await Deno.writeTextFile(`${dir}/tokenizer.json`, "[]");
  await assertRejects(() => loadTokenizer(dir), UserError, "expected a JSON object");
  await Deno.writeTextFile(`${dir}/tokenizer.json`, "{}");
  await assertRejects(() => loadTokenizer(dir), UserError, "cannot be used");
  await Deno.remove(dir, { recursive: true });
});
