import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { END_OF_DOCUMENT } from "../../data/tokenizing/tokenize-job.ts";
import { perplexity, type Predictor, readDocuments } from "../../eval/perplexity.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";

/** Gives every letter a probability by its place in the alphabet: a 1/2, b 1/4, c 1/8. */
function predictor() {
  const asked: { input: string; labels: string }[] = [];
  const text = (ids: readonly number[]) => String.fromCodePoint(...ids);
  const model: Predictor = {
    tokenizer: {
      encode: (text) => [...text].map((character) => character.codePointAt(0)!),
      imEnd: "|".codePointAt(0)!,
    },
    logProbs: (inputs, labels) => {
      inputs.forEach((ids, i) => asked.push({ input: text(ids), labels: text(labels[i]) }));
      return Promise.resolve(labels.map((ids) => ids.map((id) => (96 - id) * Math.LN2)));
    },
  };
  return { model, asked };
}

Deno.test("every token is predicted once, each document from its beginning", async () => {
  const { model, asked } = predictor();
  const found = await perplexity(model, ["abcab", "c"], 3, 2);
  assertEquals(asked, [
    { input: "|ab", labels: "abc" },
    { input: "ca", labels: "ab" },
    { input: "|", labels: "c" },
  ]);
  assertEquals([found.tokens, found.bytes], [6, 6]);
  assertAlmostEquals(found.bitsPerByte, (1 + 2 + 3 + 1 + 2 + 3) / 6, 1e-12);
  assertAlmostEquals(found.perplexity, 4, 1e-12);
});

Deno.test("a document begins after the token that shards put between documents", async () => {
  const tokenizer = await qwenTokenizer();
  const beginnings: number[] = [];
  const model: Predictor = {
    tokenizer,
    logProbs: (inputs, labels) => {
      beginnings.push(...inputs.map(([first]) => first));
      return Promise.resolve(labels.map((ids) => ids.map(() => -1)));
    },
  };
  await perplexity(model, ["春", "夏"], 8, 2);
  const [end] = tokenizer.encode(END_OF_DOCUMENT);
  assertEquals(beginnings, [end, end]);
});

Deno.test("bits per byte count bytes, not characters", async () => {
  const model: Predictor = {
    ...predictor().model,
    logProbs: (_, labels) => Promise.resolve(labels.map((ids) => ids.map(() => -6 * Math.LN2))),
  };
  const found = await perplexity(model, ["春夏"], 8, 1);
  assertAlmostEquals(found.bitsPerByte, 2, 1e-12);
  assertAlmostEquals(found.perplexity, 64, 1e-9);
});

Deno.test("documents are whole files or the texts of JSON lines", () =>
  inTemporaryFolder(async (folder) => {
    const read = async (name: string, content: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, content);
      return await readDocuments(`${folder}/${name}`);
    };
    const fails = (read: () => Promise<unknown>, message: string) =>
      assertRejects(read, UserError, message);
    assertEquals(await read("a.txt", "一\n二\n"), ["一\n二\n"]);
    assertEquals(await read("b.jsonl", '\ufeff{"text": "一"}\r\n\n{"text": "二"}'), ["一", "二"]);
    await fails(() => read("c.jsonl", '{"text": "一"}\n{"txt": "二"}\n'), 'c.jsonl:2: no "text"');
    await fails(() => read("d.txt", ""), "d.txt: no text in it");
    await Deno.writeFile(`${folder}/e.gz`, Uint8Array.of(0x1f, 0x8b, 8, 0));
    await fails(() => readDocuments(`${folder}/e.gz`), "e.gz: not UTF-8 text");
    await fails(() => readDocuments(`${folder}/f.txt`), "f.txt: there is no such file");
  }));
