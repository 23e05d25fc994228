/** Every format that is read: which file is damaged, and what reads it as the commands do. */
import {
  clean,
  exportModel,
  loadCorpus,
  loadModel,
  loadPretrainSettings,
  loadSftSettings,
  loadTokenizer,
  openCheckpoint,
  parameterShapes,
  prepare,
  pretrain,
  readDocuments,
  readManifest,
  readPrepareSettings,
  readRecipe,
  ShardBlocks,
  verifyShards,
} from "../../mod.ts";
import { cleanReportPage } from "../../data/cleaning/clean-report-page.ts";
import { Problems, readConversations, readPreferences } from "../../data/instructions/read-set.ts";
import { findSets } from "../../data/instructions/registry.ts";
import { toHtml } from "../../data/page/html.ts";
import { prepareReportPage } from "../../data/prepare-report-page.ts";
import { readReport } from "../../data/read-report.ts";
import { evalCommand } from "../../eval/eval-command.ts";
import { reportCommand } from "../../eval/report/report-command.ts";
import { folded } from "../../model/host/fold.ts";
import { openModel } from "../../model/host/open-model.ts";
import { tinyRun } from "../train/tiny-run.ts";
import { bombOf } from "./bombs.ts";
import type { Expectation } from "./expectations.ts";
import { RUN_OPTIONS } from "./inputs.ts";
import type { Content } from "./mutators.ts";
import { contentOf } from "./tree.ts";

/** Where a try has its files. */
export interface Places {
  /** All inputs, undamaged. */
  inputs: string;
  /** The folder with the damaged file; it is also the current folder. */
  input: string;
  /** Where something may be written; empty. */
  output: string;
}

export interface Format {
  name: string;
  /** The folder of the inputs that it needs. */
  folder: string;
  /** The file in it that is damaged; of a path that ends with `/`, the only file of that folder. */
  file: string;
  content: Content;
  /** Reads the folder, and returns what it understood, to be compared. */
  read: (places: Places) => Promise<unknown>;
  /** The one way in which it is damaged, instead of all that there are. */
  damage?: (file: Uint8Array) => Uint8Array;
  /** Makes what the undamaged folder lacks. */
  before?: (places: Places) => Promise<unknown>;
  /** A checksum covers the file: whoever reads another content than the undamaged one ignores it. */
  checksum?: Expectation;
  /** Bytes that the checksum covers, where these are not all. */
  covered?: [start: number, end: number];
  /** A task and arguments that read it. */
  command?: (places: Places) => [task: string, ...args: string[]];
  /** How many times as long as others it takes: so many fewer tries. */
  cost?: number;
  /** Whether reading it also writes into its folder, as a run goes on in its own. */
  writes?: true;
}

/** A fault that reading itself does not throw. */
export class Violation extends Error {
  constructor(readonly expectation: Expectation, message: string) {
    super(message);
  }
}

const documents = (file: string) => ({ input }: Places) =>
  Array.fromAsync(readDocuments(`${input}/${file}`));

const inspected = (file: string) => ({ input }: Places): [string, ...string[]] => [
  ...["data", "inspect", `${input}/${file}`] as [string, ...string[]],
];

const text = (name: string, content: Content, checksum?: Expectation): Format => ({
  ...{ name, folder: "texts", file: `a.${name}`, content, checksum },
  read: documents(`a.${name}`),
  command: inspected(`a.${name}`),
});

const TEXTS: Format[] = [
  text("jsonl", "lines"),
  text("json", "json"),
  text("txt", "text"),
  text("jsonl.gz", "bytes", "CRC-32 of gzip"),
  text("jsonl.zst", "bytes", "content checksum of zstd"),
  text("parquet", "bytes"),
  {
    ...text("parquet", "bytes", "CRC of Parquet's pages"),
    ...{ name: "parquet with page CRC", file: "checked.parquet" },
    read: documents("checked.parquet"),
    // The page, behind its header.
    covered: [37, 480],
  },
];

/** Conversations of sets, or pairs of answers. */
async function examplesOf(names: string[], { input }: Places): Promise<unknown> {
  const problems = new Problems();
  const identity = { name: "a", author: "b" };
  const examples = findSets(names, [input]).map((found) =>
    Array.fromAsync<unknown>(
      found.format?.ranking
        ? readPreferences(found, identity, problems)
        : readConversations(found, { ...identity, exams: "both" }, problems),
    )
  );
  return [await Promise.all(examples), problems.count];
}

/** A set by its path, or by its name in the registry. */
const set = (file: string, content: Content, name?: string): Format => ({
  ...{ name: `set ${file}, ${name ?? file}`, folder: "sets", file, content },
  read: (places) => examplesOf([name ?? `${places.input}/${file}`], places),
});

const SETS: Format[] = [
  set("alpaca.json", "json"),
  set("chats.jsonl", "lines", "chats"),
  set("messages.jsonl", "lines"),
  set("pairs.json", "json", "pairs"),
  set("exam.csv", "text"),
  {
    ...{
      name: "set dataset_info.json",
      folder: "sets",
      file: "dataset_info.json",
      content: "json",
    },
    read: (places) => examplesOf(["set", "chats", "pairs"], places),
  },
];

const EXAM = ["--model=always:A", "--shots=1"];

const exam = (folder: string, file: string, content: Content, checksum?: Expectation): Format => {
  const args = ({ input, output }: Places) => [
    ...["exam", ...EXAM, `--data=${folder === "archives" ? `${input}/${file}` : input}`],
    `--out=${output}/results`,
  ];
  return {
    ...{ name: `exam ${file}`, folder, file, content, checksum },
    read: async (places) => {
      await evalCommand(args(places));
      const { speed: _, data: __, began: ___, ...results } = JSON.parse(
        await Deno.readTextFile(`${places.output}/results/results.json`),
      );
      return [results, await contentOf(`${places.output}/results/subjects`)];
    },
    command: (places) => ["eval", ...args(places)],
  };
};

const EXAMS: Format[] = [
  exam("exam", "val/logic_val.csv", "text"),
  exam("exam", "dev/logic_dev.csv", "text"),
  exam("exam", "subject_mapping.json", "json"),
  exam("archives", "exam.zip", "bytes", "CRC-32 of zip"),
  exam("archives", "exam.tar", "bytes"),
  {
    ...exam("archives", "exam.tar", "bytes", "checksum of tar's headers"),
    ...{ name: "exam exam.tar, first header", covered: [0, 512] },
  },
];

const cleaned = (file: string, content: Content): Format => ({
  ...{ name: `recipe ${file}`, folder: "recipe", file, content },
  read: async ({ input, output }) => {
    await clean({
      recipe: await readRecipe(`${input}/recipe.yaml`),
      inputs: [`${input}/in.jsonl`],
      output: `${output}/out.jsonl`,
      statistics: `${output}/stats.jsonl`,
      perplexity: { arpa: `${input}/zh.arpa`, sentencePiece: `${input}/zh.sp.model` },
    });
    return await contentOf(output);
  },
  command: ({ input, output }) => [
    ...["data", "clean", `--recipe=${input}/recipe.yaml`] as [string, string, string],
    ...[`--input=${input}/in.jsonl`, `--output=${output}/out.jsonl`, "--workers=1"],
    ...[`--perplexity-model=${input}/zh.arpa`, `--sentencepiece=${input}/zh.sp.model`],
  ],
});

/** Prepares the mixture anew, or goes on from what was finished before. */
const prepared = async ({ input }: Places, output: string) => {
  await prepare({ ...await readPrepareSettings(`${input}/mixture.yaml`), output });
  const manifest = await readManifest(output);
  await verifyShards(output, manifest);
  return [manifest.sources, manifest.shards];
};

const finished = (file: string, content: Content, checksum?: Expectation): Format => ({
  ...{ name: `prepare again, ${file}`, folder: "mixture", file: `done/${file}`, content, checksum },
  before: (places) => prepared(places, `${places.input}/done`),
  read: (places) => prepared(places, `${places.input}/done`),
  writes: true,
});

const DATA: Format[] = [
  {
    ...{
      name: "settings pretrain.yaml",
      folder: "settings",
      file: "pretrain.yaml",
      content: "yaml",
    },
    read: ({ input }) => loadPretrainSettings(["--config", `${input}/pretrain.yaml`]),
    command: ({ input }) => ["pretrain", "--config", `${input}/pretrain.yaml`, "--help"],
  },
  {
    ...{ name: "settings sft.yaml", folder: "settings", file: "sft.yaml", content: "yaml" },
    read: ({ input }) => loadSftSettings(["--config", `${input}/sft.yaml`]),
  },
  cleaned("recipe.yaml", "yaml"),
  cleaned("zh.arpa", "text"),
  cleaned("zh.sp.model", "bytes"),
  ...([["mixture.yaml", "yaml"], ["tokenizer.json", "json"], ["recipe.yaml", "yaml"]] as const).map(
    ([file, content]): Format => ({
      ...{ name: `prepare ${file}`, folder: "mixture", file, content },
      read: (places) => prepared(places, `${places.output}/shards`),
      command: ({ input, output }) => [
        ...["data", "prepare", `--settings=${input}/mixture.yaml`] as [string, string, string],
        ...[`--output=${output}/shards`, "--workers=1"],
      ],
    }),
  ),
  finished("clean/one.jsonl", "lines", "checksums of what prepare finished"),
  finished("clean/one.jsonl.done.json", "json"),
  finished("manifest.json", "json"),
  finished("report.json", "json"),
  {
    ...{ name: "report of cleaning", folder: "mixture", file: "report.json", content: "json" },
    before: async ({ input }) => {
      const { cleaned } = JSON.parse(await Deno.readTextFile(`${input}/first/report.json`));
      await Deno.writeTextFile(`${input}/report.json`, JSON.stringify(cleaned.one));
    },
    read: ({ input }) => reportPage(`${input}/report.json`),
  },
  {
    ...{ name: "report of preparing", folder: "mixture", file: "first/report.json" },
    content: "json",
    read: ({ input }) => reportPage(`${input}/first/report.json`),
  },
  {
    ...{ name: "cached tokens", folder: "mixture", file: "cache/", content: "bytes", writes: true },
    checksum: "SHA-256 of cached tokens",
    before: cachedCorpus,
    read: cachedCorpus,
  },
];

async function reportPage(path: string) {
  const report = await readReport(path);
  return inHtml(
    toHtml("tokenized" in report ? prepareReportPage(report) : cleanReportPage(report)),
  );
}

async function cachedCorpus({ inputs, input }: Places) {
  return await loadCorpus({ source: [`${input}/one.jsonl`], tokens: 0, heldOut: 0.2 }, {
    tokenizer: await loadTokenizer(`${inputs}/model`),
    ...{ tokenizerName: "made up", endToken: 1, cacheDir: `${input}/cache` },
  });
}

const shards = (
  format: string,
  file: string,
  content: Content,
  checksum?: Expectation,
): Format => ({
  ...{ name: `shards ${format}, ${file}`, folder: `shards/${format}`, file, content, checksum },
  read: async ({ input }) => {
    const manifest = await readManifest(input);
    await verifyShards(input, manifest);
    const blocks = await ShardBlocks.open({ dirs: [input], blockLength: 16, seed: 1 });
    try {
      return [manifest, Array.from({ length: 10 }, () => blocks.next())];
    } finally {
      blocks.close();
    }
  },
  command: inspected(""),
});

const SHARDS = ["steel", "litpkds"].flatMap((format) => [
  shards(format, "manifest.json", "json"),
  shards(format, "shard-00001.bin", "bytes", "MD5 of shards"),
]);

const PROMPT = "静夜思\n床前 light 12 🙂";

async function weightsOf(dir: string): Promise<unknown> {
  using checkpoint = await openCheckpoint(dir);
  const shapes = parameterShapes(checkpoint.config);
  const values = [];
  for (const { name } of shapes) values.push(await checkpoint.readFloat32(name));
  return [checkpoint.config, values];
}

const opened = (folder: string, file: string, content: Content): Format => ({
  ...{ name: `${folder} ${file}`, folder, file, content },
  read: ({ input }) => weightsOf(input),
  command: ({ input, output }) => ["export", `--model=${input}`, `--output=${output}/exported`],
});

/** An adapter for the undamaged model: the weights with its updates added. */
const adapted = (file: string, content: Content): Format => ({
  ...{ name: `adapter ${file}`, folder: "adapter", file, content },
  read: async ({ inputs, input }) => {
    using model = await openModel(`${inputs}/model`, input);
    const read = folded(model.checkpoint, model.adapter!);
    const names = parameterShapes(model.checkpoint.config).map(({ name }) => name);
    return await Promise.all(names.filter((name) => name.includes(".layers.")).map(read));
  },
  command: ({ inputs, input, output }) => [
    "export",
    ...["--merge", `--model=${inputs}/model`, `--adapter=${input}`, `--output=${output}/folded`],
  ],
});

/** What it writes, by the GPU: text, and logits that are to be numbers. */
const asked = (folder: string, file: string, content: Content): Format => ({
  ...{ name: `${folder} ${file}, asked`, folder, file, content, cost: 2 },
  read: async ({ input }) => {
    const model = await loadModel(input, { gpu: "deno", precision: "f32" });
    try {
      const ids = model.tokenizer.encode(PROMPT);
      const logits = await model.logits([ids]);
      if (!logits.every(Number.isFinite)) {
        throw new Violation("weights that are not finite are refused", "logits are not finite");
      }
      const words = model.generate(ids, { maxTokens: 2, temperature: 0 });
      return [logits, await Array.fromAsync(words, ({ text }) => text)];
    } finally {
      model.close();
    }
  },
  command: ({ input }) => ["generate", `--model=${input}`, "--prompt=明月", "--max-tokens=2"],
});

const tokenizer = (folder: string, file: string, content: Content): Format => ({
  ...{ name: `${folder} ${file}`, folder, file, content },
  read: async ({ input }) => {
    const loaded = await loadTokenizer(input);
    const ids = loaded.encode(`${PROMPT} ${"a".repeat(40)}!`);
    return [ids, loaded.decode(ids), loaded.size, loaded.endOfDocument];
  },
});

const MODELS: Format[] = [
  opened("model", "config.json", "json"),
  opened("model", "model.safetensors", "safetensors"),
  opened("sharded", "model.safetensors.index.json", "json"),
  opened("sharded", "model-00002-of-00003.safetensors", "safetensors"),
  adapted("adapter_config.json", "json"),
  adapted("adapter_model.safetensors", "safetensors"),
  asked("model", "model.safetensors", "safetensors"),
  asked("model", "config.json", "json"),
  asked("model", "generation_config.json", "json"),
  tokenizer("model", "tokenizer.json", "json"),
  tokenizer("model", "tokenizer_config.json", "json"),
  tokenizer("old", "vocab.json", "json"),
  tokenizer("old", "merges.txt", "text"),
  tokenizer("old", "tokenizer_config.json", "json"),
  ...(["vocabulary.json", "tokenizer.json"] as const).map((file): Format => ({
    ...{ name: `export ${file}`, folder: "model", file, content: "json", cost: 2 },
    read: async ({ input, output }) => {
      await exportModel(input, `${output}/exported`);
      return await contentOf(`${output}/exported`);
    },
  })),
];

const CHECKPOINT = "run/checkpoints/step-0000002";

/** Goes on with a run that is complete, whose checkpoint is loaded whole. */
const resumed = (file: string, content: Content, checksum?: Expectation): Format => ({
  ...{ name: `resume ${file}`, folder: "run", file, content, checksum, cost: 4, writes: true },
  read: async ({ input, output }) => {
    // Its text is written elsewhere, not over the one that may be damaged.
    const args = (await tinyRun(output, ...RUN_OPTIONS)).map((arg) => arg.replace(output, "."));
    (await pretrain(await loadPretrainSettings(args)))?.close();
    return await Deno.readFile(`${input}/${file}`);
  },
});

const RUNS: Format[] = [
  ...([
    ["model.safetensors", "safetensors"],
    ["optimizer.safetensors", "safetensors"],
    ["training-state.json", "json"],
    ["config.json", "json"],
    ["vocabulary.json", "json"],
  ] as const).map(([file, content]) =>
    resumed(`${CHECKPOINT}/${file}`, content, "checksums of a checkpoint")
  ),
  resumed("run/settings.yaml", "yaml"),
  resumed("run/metrics.jsonl", "lines"),
  resumed("text.jsonl", "lines"),
];

const reported = (folder: string, file: string, content: Content): Format => ({
  ...{ name: `report ${file}`, folder, file, content, writes: true },
  read: async ({ input }) => {
    await reportCommand([input]);
    return [
      inHtml(await Deno.readTextFile(`${input}/report.html`)),
      inHtml(await Deno.readTextFile(`${input}/report.md`)),
    ];
  },
  command: ({ input }) => ["report", input],
});

const RESULTS = "results/results.json";

const REPORTS: Format[] = [
  reported("run", "run/metrics.jsonl", "lines"),
  reported("run", "run/settings.yaml", "yaml"),
  reported("run", "run/facts.json", "json"),
  reported("run", "run/samples.txt", "text"),
  reported("evaluation", RESULTS, "json"),
  {
    ...{ name: `compare ${RESULTS}`, folder: "evaluation", file: RESULTS, content: "json" },
    read: ({ input }) => evalCommand(["compare", `${input}/results`]),
    command: ({ input }) => ["eval", "compare", `${input}/results`],
  },
  {
    ...exam("evaluation", "results/answers.jsonl", "lines"),
    ...{ name: "evaluate again, answers.jsonl", writes: true },
    before: evalAgain,
    read: evalAgain,
    command: undefined,
  },
];

/** Goes on with an evaluation that was finished. */
async function evalAgain({ inputs, input }: Places): Promise<unknown> {
  const data = `--data=${inputs}/exam`;
  await evalCommand(["exam", ...EXAM, data, `--out=${input}/results`]);
  const { speed: _, began: __, ...results } = JSON.parse(
    await Deno.readTextFile(`${input}/${RESULTS}`),
  );
  return results;
}

/** Files of a megabyte at most that unpack to more than a gigabyte. */
const BOMBS: Format[] = [
  ...TEXTS.filter(({ name }) => name.endsWith("gz") || name.endsWith("zst")),
  ...EXAMS.filter(({ name }) => name.endsWith("zip")),
].map((format) => ({
  ...format,
  name: `${format.name}, a bomb`,
  checksum: undefined,
  damage: bombOf(format.file),
  cost: 1e9,
}));

/** A page, in which no text of an input may be a tag. */
function inHtml(page: string): string {
  if (!page.includes("<script>alert")) return page;
  throw new Violation("pages escape what stands in files", "a script that stood in the input");
}

export const FORMATS: readonly Format[] = [
  ...[...TEXTS, ...SETS, ...EXAMS, ...DATA, ...SHARDS, ...MODELS, ...RUNS, ...REPORTS, ...BOMBS],
];
