/**
 * What the authors' scripts make of the samples in Steel-LLM's repository, as counts and hashes. The
 * samples are not ours to publish: these tests run where STEEL_LLM_SAMPLES names the folder that
 * has them.
 */
import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { clean } from "../../data/clean.ts";
import { readDocuments } from "../../data/readers/read-file.ts";
import { readRecipe, recipePath } from "../../data/recipe.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const samples = Deno.env.get("STEEL_LLM_SAMPLES");

interface Expected {
  documents: number;
  md5_of_texts_joined_by_newline: string;
  md5_with_exact_suffix_removed?: string;
}

const files: Record<string, string> = {
  baidu_baike: "baidu_baike/563w_baidubaike_sample.json",
  baidu_QA: "baidu_QA/baike_qa_train_sample.json",
  BELLE_2M: "BELLE/train_2M_CN_sample.json",
  BELLE_3_5M: "BELLE/train_3.5M_CN_sample.json",
  firefly: "firefly/firefly-train-1.1M_sample.jsonl",
  wiki_cn: "wiki_cn/wikipedia-cn-20230720-filtered_sample.json",
};

Deno.test({
  name: "the readers make of the samples what the authors' scripts make of them",
  ignore: samples === undefined,
  fn: async () => {
    const goldens: Record<string, Expected> = JSON.parse(
      await Deno.readTextFile(new URL("fixtures/corpora.json", import.meta.url)),
    );
    for (const [name, expected] of Object.entries(goldens)) {
      const path = `${samples}/${files[name]}`;
      const published = expected.md5_of_texts_joined_by_newline;
      assertEquals(await md5OfTexts(path, true), [expected.documents, published], name);
      const exact = expected.md5_with_exact_suffix_removed ?? published;
      assertEquals(await md5OfTexts(path, false), [expected.documents, exact], name);
    }
  },
});

Deno.test({
  name: "the text recipe keeps of the samples what Data-Juicer keeps",
  ignore: samples === undefined,
  fn: async () => {
    const [skypile, baike] = ["sky/2021-31_zh_head_0000_sample.jsonl", files.baidu_baike]
      .map((file) => `${samples}/${file}`);
    await inTemporaryFolder(async (dir) => {
      // Data-Juicer was measured on Wikipedia's articles as they are, not in NFKC.
      const articles: { completion: string }[] = JSON.parse(
        await Deno.readTextFile(`${samples}/${files.wiki_cn}`),
      );
      const wiki = `${dir}/wiki.jsonl`;
      const lines = articles.map(({ completion: text }) => JSON.stringify({ text }) + "\n");
      await Deno.writeTextFile(wiki, lines.join(""));
      // Passing by words, by alphanumerics, by mean line; no fingerprint; through filters; kept.
      assertEquals(await keptBy(skypile, dir, false), [444, 694, 710, 709, 269, 138]);
      assertEquals(await keptBy(skypile, dir, true), [444, 694, 710, 749, 269, 120]);
      assertEquals(await keptBy(wiki, dir, false), [147, 208, 231, 130, 87, 64]);
      assertEquals(await keptBy(wiki, dir, true), [147, 208, 231, 140, 87, 61]);
      assertEquals(await keptBy(baike, dir, false), [92, 233, 146, 166, 27, 25]);
      assertEquals(await keptBy(baike, dir, true), [92, 233, 146, 172, 27, 25]);
    });
  },
});

async function keptBy(input: string, dir: string, april_2024: boolean): Promise<number[]> {
  const recipe = await readRecipe(recipePath("steel-text"));
  const deduplicator = recipe.steps.at(-1)!;
  deduplicator.arguments = { ...deduplicator.arguments, april_2024 };
  const { steps, kept } = await clean({
    recipe,
    inputs: [input],
    output: `${dir}/out.jsonl`,
    statistics: `${dir}/statistics.jsonl`,
  });
  const step = (name: string) => steps.find((step) => step.name === name)!;
  return [
    step("words_num_filter").passing,
    step("alphanumeric_filter").passing,
    step("average_line_length_filter").passing,
    step("document_simhash_deduplicator").empty,
    step("document_simhash_deduplicator").reached,
    kept.documents,
  ];
}

async function md5OfTexts(path: string, asPublished: boolean): Promise<[number, string]> {
  const texts: string[] = [];
  for await (const { text } of readDocuments(path, { asPublished, textKey: "text" })) {
    texts.push(text);
  }
  return [texts.length, createHash("md5").update(texts.join("\n")).digest("hex")];
}
