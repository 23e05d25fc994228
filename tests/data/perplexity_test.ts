import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { clean } from "../../data/clean.ts";
import { ArpaModel } from "../../data/perplexity/arpa-model.ts";
import { trainNgrams } from "../../data/perplexity/kneser-ney.ts";
import { characterPerplexity, charactersOf } from "../../data/perplexity/perplexity.ts";
import { loadSentencePiece } from "../../data/perplexity/sentence-piece.ts";
import { parseRecipe } from "../../data/recipe.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { sentencePieceModel } from "./sentence-piece-model.ts";

async function arpaModel(text: string): Promise<ArpaModel> {
  return await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/model.arpa`, text);
    return await ArpaModel.read(`${dir}/model.arpa`);
  });
}

const ARPA = [
  ...["\\data\\", "ngram 1=4", "ngram 2=2", "", "\\1-grams:"],
  ...["-99\t<s>\t-0.5", "-1\t</s>", "-2\t<unk>", "-0.75\ta\t-0.25", "", "\\2-grams:"],
  ...["-0.125\t<s> a", "-0.25\ta a", "", "\\end\\", ""],
].join("\n");

Deno.test("an ARPA file is scored with back-off, from the text's beginning to its end", async () => {
  const model = await arpaModel(ARPA);
  // <s> a, a a, and </s> after a by its back-off.
  assertAlmostEquals(model.score(["a", "a"]), -0.125 - 0.25 + (-0.25 - 1));
  // An unknown word after <s>, which backs off, and </s> after it, which has no back-off.
  assertAlmostEquals(model.score(["b"]), -0.5 - 2 + -1);
  for (const end of ["\r\n", "\r"]) {
    assertAlmostEquals((await arpaModel(ARPA.replaceAll("\n", end))).score(["b"]), -0.5 - 2 + -1);
  }
  // KenLM gives unknown words 10^-100 where the model does not say.
  const closed = await arpaModel(ARPA.replace("-2\t<unk>\n", "").replace("1=4", "1=3"));
  assertAlmostEquals(closed.score(["b"]), -0.5 - 100 + -1);
});

Deno.test("what is not an ARPA file is refused with its line", async () => {
  const refused = async (text: string, message: string) => {
    await assertRejects(() => arpaModel(text), UserError, message);
  };
  await refused("hello", "model.arpa is not an ARPA file");
  await refused(ARPA.replace("a a", "a"), 'the line "-0.25\ta" does not fit in');
  await refused(ARPA.replace("a a", "b a"), 'the line "-0.25\tb a" does not fit in');
  await refused(ARPA.replace("2=2", "2=1").replace("1=4", "1=3"), "does not fit in");
  await refused(ARPA.replace("2=2", "2=99999999999999"), "too many for memory");
  await refused("mmap lm http://kheafield.com/code format version 5\n", "KenLM's binary form");
});

Deno.test("the probabilities of a trained model add up to one", async () => {
  const texts = ["ab", "aab", "b", "abb", "a", "ab", "bab", "aabb", "ab"].map((text) => [...text]);
  for (const pruned of [0, 1]) {
    const model = await arpaModel(trainNgrams(texts, 3, pruned));
    // Of all texts of up to 9 tokens of the vocabulary; longer ones have what is missing.
    let sum = 0;
    let longer = [[]] as string[][];
    for (let length = 0; length <= 9; length++) {
      for (const text of longer) sum += 10 ** model.score(text);
      longer = longer.flatMap((text) => ["a", "b", "?"].map((token) => [...text, token]));
    }
    assert(sum > 0.97 && sum < 1 + 1e-4, `${sum}`);
  }
});

Deno.test("text like the reference has a lower perplexity than a list of keywords", async () => {
  const sentences = ["今天天气很好，我们去公园散步。", "他昨天去了学校，今天在家休息。"];
  const reference = Array.from({ length: 40 }, (_, i) => charactersOf(sentences[i % 2]));
  const model = await arpaModel(trainNgrams(reference, 4));
  const fluent = characterPerplexity(model, "今天我们去学校。");
  const garbled = characterPerplexity(model, "校气散息公好。");
  assert(fluent * 3 < garbled, `${fluent} ${garbled}`);
  assertEquals(charactersOf("Ｅ É 12，\n"), ["ｅ", "▁", "e", "▁", "0", "0", ",", "▁"]);
});

Deno.test("perplexity is of SentencePiece's pieces, as Data-Juicer measures it", async () => {
  await inTemporaryFolder(async (dir) => {
    const arpa = ["\\data\\", "ngram 1=5", "", "\\1-grams:", "-99\t<s>", "-1\t</s>", "-3\t<unk>"];
    arpa.push("-0.5\t▁a", "-0.25\tab", "", "\\end\\", "");
    await Deno.writeTextFile(`${dir}/zh.arpa`, arpa.join("\n"));
    const model = sentencePieceModel({ "▁": -3, "▁a": -1, "a": -4, "b": -4, "ab": -1 });
    await Deno.writeFile(`${dir}/zh.sp.model`, model);
    const texts = ["aab a", "a\nab", "cab"];
    await Deno.writeTextFile(
      `${dir}/in.jsonl`,
      texts.map((text) => JSON.stringify({ text }) + "\n").join(""),
    );
    const report = await clean({
      recipe: parseRecipe(
        "process: [{ perplexity_filter: { lang: zh, max_ppl: 10 } }, " +
          "{ words_num_filter: { lang: zh, tokenization: true, min_num: 3 } }]",
        "r",
      ),
      inputs: [`${dir}/in.jsonl`],
      output: `${dir}/out.jsonl`,
      statistics: `${dir}/stats.jsonl`,
      perplexity: { arpa: `${dir}/zh.arpa`, sentencePiece: `${dir}/zh.sp.model` },
    });
    const statistics = (await Deno.readTextFile(`${dir}/stats.jsonl`)).trim().split("\n");
    assertEquals(statistics.map((line) => JSON.parse(line).perplexity), [
      ...[round(10 ** ((0.5 + 0.25 + 0.5 + 1) / 4))], // ▁a ab ▁a
      ...[round(10 ** ((0.5 + 1 + 0.25 + 1) / 4))], // ▁a, and on a line of its own ab
      ...[round(10 ** ((3 + 3 + 0.25 + 1) / 4))], // ▁ c ab
    ]);
    // Line breaks are no words.
    assertEquals(statistics.map((line) => JSON.parse(line).num_words), [3, 2, 3]);
    assertEquals(report.kept.documents, 1);
    assert(report.warnings[0].includes("threshold (10) was applied"), report.warnings[0]);
    await assertRejects(
      () => loadSentencePiece(`${dir}/zh.arpa`),
      UserError,
      "zh.arpa is not a SentencePiece model",
    );
  });
});

function round(value: number): number {
  return Math.round(10 * value) / 10;
}

Deno.test("a recipe's threshold is put aside for a percentile under the user's model", async () => {
  await inTemporaryFolder(async (dir) => {
    const good = Array.from({ length: 30 }, (_, i) => ({ text: `这是第${i % 7}个通顺的句子。` }));
    const bad = Array.from({ length: 30 }, (_, i) => ({ text: `句个顺${i % 7}的是通子第这。` }));
    const lines = (records: unknown[]) => records.map((r) => JSON.stringify(r)).join("\n");
    await Deno.writeTextFile(`${dir}/reference.jsonl`, lines(good));
    await Deno.writeTextFile(`${dir}/in.jsonl`, lines([...bad, ...good]));
    await Deno.writeFile(`${dir}/cut.jsonl.gz`, new Uint8Array([0x1F, 0x8B, 8, 0]));
    const settings = {
      recipe: parseRecipe("process: [{ perplexity_filter: { lang: zh, max_ppl: 1500 } }]", "r"),
      inputs: [`${dir}/in.jsonl`, `${dir}/cut.jsonl.gz`],
      output: `${dir}/out.jsonl`,
      perplexity: { reference: [`${dir}/reference.jsonl`], percentile: 50 },
    };
    const report = await clean(settings);
    assertEquals(report.kept.documents, 30);
    assertEquals(report.problems.passedOver, 1);
    assert((await Deno.readTextFile(`${dir}/out.jsonl`)).startsWith('{"text":"这是第'));
    assert(report.warnings[0].includes("threshold (1500) was put aside"));
    const nothingLeft = "process: [{ text_length_filter: { min_len: 99 } }, perplexity_filter]";
    await assertRejects(
      () => clean({ ...settings, recipe: parseRecipe(nothingLeft, "r") }),
      UserError,
      "the threshold of perplexity cannot be computed",
    );
  });
});
