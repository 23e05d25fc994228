/**
 * Tokenizers and chat templates of other people's models, by small ones of the same kinds; the
 * published ones are compared by `deno task test:tokenizers`.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { BytePairModel } from "../../data/tokenizer/byte-pair-tokenizer.ts";
import { CharacterPairEncoder } from "../../data/tokenizer/character-pair-encoder.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { loadDocumentEncoder } from "../../data/tokenizing/tokenize-job.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadTokenizer } from "../../model/host/load-tokenizer.ts";
import { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { compareChats, conversations, templates } from "./chat-templates.ts";
import { compareWithLibrary } from "./compare-with-library.ts";
import { byteLevelTokenizer, sentencePieceTokenizer } from "./tiny-tokenizers.ts";

const TINY = [
  ...(["Llama 2", "Gemma"] as const).map(sentencePieceTokenizer),
  ...(["Llama 3", "Qwen", "GPT-2"] as const).map(byteLevelTokenizer),
];
const [llama2, gemma, llama3, qwen, gpt2] = TINY;

for (const files of TINY) {
  Deno.test(`${files.name} gives the ids and texts of Hugging Face's tokenizers`, () =>
    compareWithLibrary(files, { texts: 300, seed: 7 }));
}

Deno.test("SentencePiece's kind is computed here, as long as nothing in it is unusual", () => {
  const altered = (part: Record<string, unknown>) => {
    const model = { ...gemma.tokenizer.model as Record<string, unknown>, ...part };
    return { ...gemma, tokenizer: { ...gemma.tokenizer, model } };
  };
  const { vocab, merges } = gemma.tokenizer.model as BytePairModel;
  const { "<0x0A>": byte, ...withoutByte } = vocab;
  assert(CharacterPairEncoder.of(llama2) && CharacterPairEncoder.of(gemma));
  const others = [
    ...[llama3, qwen, gpt2],
    altered({ byte_fallback: false }),
    altered({ vocab: withoutByte }),
    altered({ merges: [...merges, "<0x0A> a"], vocab: { ...vocab, "<0x0A>a": byte + 1000 } }),
    { ...gemma, tokenizer: { ...gemma.tokenizer, normalizer: { type: "NFKC" } } },
    { ...gemma, tokenizer: { ...gemma.tokenizer, pre_tokenizer: { type: "Whitespace" } } },
  ];
  for (const files of others) assertEquals(CharacterPairEncoder.of(files), undefined);
  // A long text is one word, and takes no more than linear time and memory.
  const ids = CharacterPairEncoder.of(llama2)!.encode("the ice is cold. ".repeat(20_000));
  assert(ids.length > 80_000 && ids.length < 300_000);
});

Deno.test("ids of each kind, by hand", () => {
  const tokensOf = (files: TokenizerFiles, text: string) => {
    const { vocab } = files.tokenizer.model as { vocab: Record<string, number> };
    const names = Object.keys(vocab);
    return new Tokenizer(files).encodePrompt(text).map((id) => names[id] ?? id);
  };
  assertEquals(tokensOf(llama2, "the ice é"), ["<s>", "▁the", "▁ice", "▁", "<0xC3>", "<0xA9>"]);
  assertEquals(tokensOf(gemma, "the ice"), ["<bos>", "the", "▁ice"]);
  const begin = Object.keys((llama3.tokenizer.model as { vocab: object }).vocab).length;
  assertEquals(tokensOf(llama3, "the ice"), [begin, "the", "Ġice"]);
  assertEquals(tokensOf(qwen, "the ice"), ["the", "Ġice"]);
});

Deno.test("what begins and ends a text is what the tokenizer's own files say", () => {
  const marks = TINY.map((files) => {
    const tokenizer = new Tokenizer(files);
    const { endOfDocument, padding, stopIds, documentStart } = tokenizer;
    const text = (id: number) => tokenizer.decode([id]);
    return [[documentStart], [endOfDocument], [padding], stopIds].map((ids) => ids.map(text));
  });
  assertEquals(marks, [
    [["<s>"], ["</s>"], ["</s>"], ["</s>"]],
    [["<bos>"], ["<eos>"], ["<eos>"], ["<eos>"]],
    [["<|begin_of_text|>"], ["<|eot_id|>"], ["<|eot_id|>"], ["<|eot_id|>"]],
    [["<|im_end|>"], ["<|im_end|>"], ["<|endoftext|>"], ["<|im_end|>", "<|endoftext|>"]],
    [["<|endoftext|>"], ["<|endoftext|>"], ["<|endoftext|>"], ["<|endoftext|>"]],
  ]);
});

Deno.test("special tokens are found wherever a checkpoint names them, or by Qwen's and GPT-2's names", () =>
  inTemporaryFolder(async (dir) => {
    const endOf = async (files: TokenizerFiles, config: object, map?: object) => {
      await Deno.writeTextFile(`${dir}/tokenizer.json`, files.texts()["tokenizer.json"]);
      await Deno.writeTextFile(`${dir}/tokenizer_config.json`, JSON.stringify(config));
      await Deno.writeTextFile(`${dir}/special_tokens_map.json`, JSON.stringify(map ?? {}));
      const tokenizer = await loadTokenizer(dir);
      const { endToken } = await loadDocumentEncoder(`${dir}/tokenizer.json`);
      assertEquals(endToken, tokenizer.endOfDocument);
      return tokenizer.decode([tokenizer.endOfDocument]);
    };
    assertEquals(await endOf(qwen, { eos_token: "<|endoftext|>" }), "<|endoftext|>");
    assertEquals(await endOf(qwen, {}), "<|im_end|>");
    assertEquals(await endOf(gpt2, {}), "<|endoftext|>");
    assertEquals(await endOf(llama2, {}, { eos_token: { content: "</s>" } }), "</s>");
    const both = endOf(llama2, { eos_token: "</s>" }, { eos_token: "<unk>" });
    assertEquals(await both, "</s>");
    await assertRejects(() => endOf(llama2, {}), UserError, "no token could end a document");
  }));

Deno.test("older files give the tokenizer that was saved in them", () =>
  inTemporaryFolder(async (dir) => {
    const classes: [TokenizerFiles, string][] = [
      [qwen, "Qwen2Tokenizer"],
      [gpt2, "GPT2Tokenizer"],
      [gpt2, "CodeGenTokenizer"],
    ];
    for (const [files, tokenizer_class] of classes) {
      await writeOlderFiles(dir, files, { tokenizer_class });
      const older = await loadTokenizer(dir);
      const original = new Tokenizer(files);
      for (const text of ["The ice's 123 cold", "  low é\n", "e\u0301 <|endoftext|>"]) {
        assertEquals(older.encode(text), original.encode(text), tokenizer_class);
      }
    }
    // Special tokens that are named, but not listed as added.
    await writeOlderFiles(dir, gpt2, { tokenizer_class: "GPT2Tokenizer" }, false);
    const special = (await loadTokenizer(dir)).encode("<|endoftext|>");
    assertEquals(special, new Tokenizer(gpt2).encode("<|endoftext|>"));
    await writeOlderFiles(dir, gpt2, { tokenizer_class: "WhisperTokenizer" });
    await assertRejects(() => loadTokenizer(dir), UserError, '"tokenizer_class" is "WhisperTok');
  }));

Deno.test("a tokenizer that is not JSON is refused by its name", async () => {
  for (const name of ["qwen.tiktoken", "tekken.json"]) {
    await inTemporaryFolder(async (dir) => {
      await Deno.writeTextFile(`${dir}/${name}`, "IQ== 0\n");
      await assertRejects(
        () => loadTokenizer(dir),
        UserError,
        `${dir}/${name}: a tokenizer in this format cannot be read`,
      );
      // Beside a tokenizer.json it is not needed.
      await Deno.writeTextFile(`${dir}/tokenizer.json`, qwen.texts()["tokenizer.json"]);
      await Deno.writeTextFile(`${dir}/tokenizer_config.json`, "{}");
      assertEquals((await loadTokenizer(dir)).encode("the").length, 1);
    });
  }
});

Deno.test("a tokenizer that is no BPE is refused by its kind", () => {
  const kinds = [
    { type: "WordPiece", vocab: { "[UNK]": 0, a: 1 }, unk_token: "[UNK]" },
    { type: "Unigram", vocab: [["<unk>", 0], ["a", -1]], unk_id: 0 },
  ];
  for (const model of kinds) {
    const files = { ...qwen, tokenizer: { ...qwen.tokenizer, model } };
    assertThrows(() => new Tokenizer(files), UserError, `model is "${model.type}"; expected "BPE"`);
  }
});

for (const [name, { template, tokens, texts }] of Object.entries(templates)) {
  const base = name === "gemma" ? gemma : llama2;
  const files = { ...base, name, config: { ...base.config, ...tokens }, chatTemplate: template };

  Deno.test(`the chat template of ${name} gives what Jinja2 gives`, () =>
    compareChats(files, texts));

  Deno.test(`answers in the chat template of ${name} are what the model learns`, () => {
    const tokenizer = new Tokenizer(files);
    const { messages, addGenerationPrompt } = conversations.find(({ name }) => name === "whole")!;
    assert(!addGenerationPrompt);
    const takesSystem = name !== "gemma" && name !== "mistral";
    const said = messages.filter(({ role }) => role !== "system").map(({ content }) => content);
    const turns = [0, 2].map((i) => ({ question: said[i], answer: said[i + 1] }));
    const encoded = tokenizer.encodeTurns({
      system: takesSystem ? messages[0].content : undefined,
      turns,
    });
    const words = encoded.map(({ answer }) => {
      const stream = tokenizer.createDecodeStream({ after: encoded[0].prompt });
      return answer.map((id) => stream.push(id)).join("") + stream.flush();
    });
    assertEquals(words, ANSWERS[name]);
    const all = encoded.flatMap(({ prompt, answer }) => [...prompt, ...answer]);
    if (takesSystem) {
      const whole = tokenizer.encode(texts[3] as string);
      assertEquals(all.slice(0, whole.length), whole.slice(0, all.length));
    } else {
      assertThrows(
        () => tokenizer.encodeTurns({ system: "Be brief.", turns }),
        UserError,
        `${name}: the checkpoint's chat template does not take this chat`,
      );
    }
  });
}

/** What is learned in each template: the answer, with the mark that ends it. */
const ANSWERS: Record<string, string[]> = {
  llama2: [" Yes. </s>", " No,\nit is hot. </s>"],
  mistral: [" Yes. </s>", "No,\nit is hot.</s>"],
  tinyllama: [" Yes. </s>", "No,\nit is hot.</s>"],
  gemma: ["Yes.<end_of_turn>", "No,\nit is hot.<end_of_turn>"],
  minicpm: ["Yes.", "No,\nit is hot.</s>"],
};

async function writeOlderFiles(
  dir: string,
  { tokenizer, config }: TokenizerFiles,
  more: Record<string, unknown>,
  lists = true,
): Promise<void> {
  const { vocab, merges } = tokenizer.model as { vocab: object; merges: string[] };
  const added = tokenizer.added_tokens as { id: number; content: string }[];
  const own = Object.fromEntries(added.map(({ content, id }) => [content, id]));
  const all = lists ? vocab : { ...vocab, ...own };
  await Deno.writeTextFile(`${dir}/vocab.json`, JSON.stringify(all));
  await Deno.writeTextFile(`${dir}/merges.txt`, ["#version: 0.2", ...merges, ""].join("\n"));
  const added_tokens_decoder = Object.fromEntries(added.map(({ id, ...token }) => [id, token]));
  await Deno.writeTextFile(
    `${dir}/tokenizer_config.json`,
    JSON.stringify({ ...config, ...more, ...lists && { added_tokens_decoder } }),
  );
}
