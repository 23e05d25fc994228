import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { gzipSync, strToU8 } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import { perplexity, type Predictor, predictorBy, readTexts } from "../../eval/perplexity.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";

/** Gives every letter a probability by its place in the alphabet: a 1/2, b 1/4, c 1/8. */
function predictor() {
  const asked: { input: string; labels: string }[] = [];
  const text = (ids: readonly number[]) => String.fromCodePoint(...ids.filter((id) => id >= 0));
  const model: Predictor = {
    tokenizer: {
      encode: (text) => [...text].map((character) => character.codePointAt(0)!),
      documentStart: "|".codePointAt(0)!,
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

Deno.test("prefixes ask for one token each, decoding asks the model itself; all find the same here", async () => {
  const { model, asked } = predictor();
  const decodable = { ...model, decodedLogProbs: model.logProbs };
  const whole = await perplexity(predictorBy("whole", decodable, 2), ["abc"], 3, 2);
  const decoded = await perplexity(predictorBy("decoding", decodable, 2), ["abc"], 3, 2);
  asked.length = 0;
  const labels: number[][] = [];
  const logProbs = (inputs: number[][], wanted: number[][]) => {
    labels.push(...wanted);
    return model.logProbs(inputs, wanted);
  };
  const byPrefixes = predictorBy("prefixes", { ...decodable, logProbs }, 2);
  assertEquals(await perplexity(byPrefixes, ["abc"], 3, 2), whole);
  assertEquals(decoded, whole);
  assertEquals(asked.map(({ input }) => input), ["|", "|a", "|ab"]);
  assertEquals(labels, [[97], [-100, 98], [-100, -100, 99]]);
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
  const [end] = tokenizer.encode("<|im_end|>");
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

Deno.test("the same documents give the same bits per byte, whatever kind of file holds them", () =>
  inTemporaryFolder(async (folder) => {
    const bitsPerByte = async (name: string, content: string | Uint8Array) => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${folder}/${name}`, bytes);
      const { model } = predictor();
      return (await perplexity(model, await readTexts(`${folder}/${name}`), 3, 2)).bitsPerByte;
    };
    const lines = '\ufeff{"text": "abcab"}\r\n\n{"text": "c"}';
    const column = { name: "text", data: ["abcab", "c"] };
    const files: Record<string, string | Uint8Array> = {
      "a.jsonl": lines,
      "a.data": lines,
      "a.json": '[{"text": "abcab"}, {"text": "c"}, {"text": ""}]',
      "a.jsonl.gz": gzipSync(strToU8(lines)),
      "a.parquet": new Uint8Array(parquetWriteBuffer({ columnData: [column] })),
    };
    for (const [name, content] of Object.entries(files)) {
      assertEquals(await bitsPerByte(name, content), 2, name);
    }
    await Deno.writeTextFile(`${folder}/a.txt`, "abcab\nc\n");
    assertEquals(await readTexts(`${folder}/a.txt`), ["abcab\nc\n"], "one document");
    await Deno.mkdir(`${folder}/novels`);
    for (const name of ["1", "2"]) await Deno.writeTextFile(`${folder}/novels/${name}.txt`, name);
    assertEquals(await readTexts(`${folder}/novels`), ["1", "2"], "a folder of documents");
  }));

Deno.test("a file whose documents cannot all be read has no perplexity", () =>
  inTemporaryFolder(async (folder) => {
    const fails = async (name: string, content: string, message: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, content);
      await assertRejects(() => readTexts(`${folder}/${name}`), UserError, message);
    };
    const lacking = '{"text": "一"}\n{"txt": "二"}\n';
    await fails("c.jsonl", lacking, 'c.jsonl, line 2: it has no field "text"');
    await fails("d.txt", "", "d.txt: there is no text in it");
    await fails("e.jsonl", '{"text": ""}\n', "e.jsonl: there is no text in it");
    await fails("f.gz", "no gzip", "f.gz is damaged or cut short");
    const none = "g.txt: there is no such file";
    await assertRejects(() => readTexts(`${folder}/g.txt`), UserError, none);
  }));
