/** A lone `tokenizer.model` against SentencePiece itself, compiled to WebAssembly. */
import { assertEquals, assertRejects } from "@std/assert";
import { SentencePieceProcessor } from "@agnai/sentencepiece-js";
import { Random } from "../../data/random.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadTokenizer } from "../../model/host/load-tokenizer.ts";
import { bytePairPieceModel, sentencePieceModel } from "../data/sentence-piece-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { randomText } from "./random-texts.ts";
import { sentencePieceTokenizer } from "./tiny-tokenizers.ts";

/** Pieces of a few words, the best first, and then all their characters. */
function learnedPieces(): string[] {
  const { merges } = sentencePieceTokenizer("Llama 2").tokenizer.model as { merges: string[] };
  const pieces = merges.map((merge) => merge.replace(" ", ""));
  return [...pieces, ...new Set(pieces.join(""))];
}

for (const addsSpace of [true, false]) {
  const name = addsSpace ? "with" : "without";
  Deno.test(`a lone tokenizer.model ${name} a space before a text has SentencePiece's ids`, () =>
    inTemporaryFolder(async (dir) => {
      const path = `${dir}/tokenizer.model`;
      await Deno.writeFile(path, bytePairPieceModel(learnedPieces(), { addsSpace }));
      const oracle = new SentencePieceProcessor();
      await oracle.load(path);
      const tokenizer = await loadTokenizer(dir);
      const random = new Random(3);
      for (let i = 0; i < 300; i++) {
        // What is written as a mark or as a space is text to SentencePiece, but no random text is.
        const text = randomText(random).replaceAll(/<\/?s>|▁|\p{Surrogate}|\0/gu, "");
        const ids = tokenizer.encode(text);
        assertEquals(ids, [...oracle.encodeIds(text)], JSON.stringify(text));
        // Decoding drops a byte order mark that is made of bytes.
        assertEquals(tokenizer.decode(ids).replaceAll("\uFEFF", ""), text.replaceAll("\uFEFF", ""));
      }
      assertEquals(tokenizer.encodePrompt(""), [1]);
      assertEquals([tokenizer.stopIds, tokenizer.documentStart], [[2], 1]);
      // Saved with a checkpoint, it is a tokenizer.json.
      for (const [name, text] of Object.entries(tokenizer.files())) {
        await Deno.writeTextFile(`${dir}/${name}`, text);
      }
      await Deno.remove(path);
      const saved = await loadTokenizer(dir);
      assertEquals(saved.encodePrompt("the ice é"), tokenizer.encodePrompt("the ice é"));
      assertEquals(saved.stopIds, [2]);
    }));
}

Deno.test("a tokenizer.model of another kind is refused by what it is", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/tokenizer.model`;
    const refused: [Uint8Array, string][] = [
      [sentencePieceModel({ a: -1 }), "is of the type unigram"],
      [bytePairPieceModel(["a"], { removesSpaces: true }), "removes spaces"],
      [new TextEncoder().encode("no model"), `${path}: this is no SentencePiece model`],
      [new Uint8Array(), `${path}: this is no SentencePiece model`],
    ];
    for (const [bytes, message] of refused) {
      await Deno.writeFile(path, bytes);
      await assertRejects(() => loadTokenizer(dir), UserError, message);
    }
    await Deno.writeFile(path, bytePairPieceModel(["a"]));
    await Deno.writeTextFile(`${dir}/tokenizer_config.json`, `{"add_bos_token": false}`);
    const tokenizer = await loadTokenizer(dir);
    assertEquals(tokenizer.encodePrompt("a"), tokenizer.encode("a"));
  }));
