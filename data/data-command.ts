/** `deno task data`: turns texts into what a model trains on. */
import { dirname, parse as parsePath } from "node:path";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { next } from "../kernels/host/next-command.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { clean } from "./clean.ts";
import type { CleanReport } from "./cleaning/clean-report.ts";
import { cleanReportPage } from "./cleaning/clean-report-page.ts";
import {
  cleanSummary,
  countOf,
  inspectFile,
  inspectShards,
  prepareSummary,
  problemSummary,
} from "./data-summary.ts";
import {
  type Command,
  type Flags,
  HELP,
  inputFiles,
  numberOption,
  readFlags,
  requiredOption,
  textOption,
} from "./data-flags.ts";
import { exists } from "./files/exists.ts";
import { filesOf } from "./files/input-files.ts";
import { refuseOverwriting, refuseReplacing } from "./files/overwriting.ts";
import { mixtureTable } from "./tokenizing/mixture.ts";
import { toHtml } from "./page/html.ts";
import { prepare } from "./prepare.ts";
import { prepareReportPage } from "./prepare-report-page.ts";
import { readPrepareSettings } from "./read-prepare-settings.ts";
import type { PerplexitySettings } from "./perplexity/fit-recipe.ts";
import { StoppableDisplay } from "./progress/stoppable-display.ts";
import { readReport } from "./read-report.ts";
import { readRecipe, type Recipe, recipePath, type RecipeStep } from "./recipe.ts";
import { adoptShards, hasShards } from "./shards/manifest.ts";
import type { ShardFormat } from "./shards/shard-file.ts";
import { tokenize } from "./tokenize.ts";
import { WholeFile } from "./files/whole-file.ts";

const COMMANDS: Record<Command, (flags: Flags) => Promise<void>> = {
  prepare: prepareCommand,
  clean: cleanCommand,
  dedup: dedupCommand,
  tokenize: tokenizeCommand,
  inspect: inspectCommand,
  report: reportCommand,
};

await runCommand(async () => {
  if (commandArguments().includes("--help")) return console.log(HELP);
  const flags = readFlags(commandArguments());
  await COMMANDS[flags.command](flags);
});

function workersOf(flags: Flags): number {
  return numberOption(flags, "workers") ?? navigator.hardwareConcurrency;
}

async function cleanCommand(flags: Flags): Promise<void> {
  const path = recipePath(requiredOption(flags, "recipe"));
  const recipe = await readRecipe(path);
  refuseUnused(flags, recipe);
  for (const key of recipe.ignored) console.log(`the recipe's key ${key} has no effect here`);
  const benchmarks = flags.options.decontaminate as string[];
  const steps: RecipeStep[] = benchmarks.length === 0
    ? []
    : [{ name: "benchmark_questions_filter", arguments: { benchmarks } }];
  await runClean(flags, { ...recipe, steps: [...steps, ...recipe.steps] }, [path]);
}

/** Refuses a tokenizer or SentencePiece model that no operator of the recipe would use. */
function refuseUnused(flags: Flags, { steps }: Recipe): void {
  const counting = steps.filter((step) => step.arguments.tokenization === true)
    .map(({ name }) => name);
  const [letters, ...words] = ["alphanumeric_filter", "words_num_filter", "word_repetition_filter"];
  if (textOption(flags, "tokenizer") !== undefined && !counting.includes(letters)) {
    throw new UserError(
      `--tokenizer is only used by ${letters} with tokenization: true, and the recipe has none`,
    );
  }
  const measuring = textOption(flags, "perplexity-model") !== undefined;
  const unused = !measuring && !words.some((name) => counting.includes(name));
  if (textOption(flags, "sentencepiece") !== undefined && unused) {
    throw new UserError(
      `--sentencepiece is only used by --perplexity-model, or by ${words.join(" or ")} with ` +
        `tokenization: true, and the recipe has none`,
    );
  }
}

async function dedupCommand(flags: Flags): Promise<void> {
  const tokenization = textOption(flags, "tokenization") ?? "character";
  const ignored = tokenization === "punctuation"
    ? null // it is what tokens stand between
    : tokenization === "space"
    ? "\\p{P}"
    // Windows of characters in code are indentation for the most part, by which all code is alike.
    : "[\\p{P}\\s]";
  const step: RecipeStep = flags.options.exact
    ? { name: "document_deduplicator", arguments: {} }
    : {
      name: "document_simhash_deduplicator",
      arguments: { tokenization, ignore_pattern: ignored, keep_empty: true },
    };
  await runClean(flags, { textKey: "text", steps: [step], ignored: [] }, []);
}

/**
 * Cleans files and prints a summary.
 *
 * @param recipeFiles the files that the recipe was read from, if it was
 */
async function runClean(flags: Flags, recipe: Recipe, recipeFiles: string[]): Promise<void> {
  const output = requiredOption(flags, "output");
  const trace = textOption(flags, "trace");
  const statistics = textOption(flags, "stats");
  const files = await inputFiles(flags, output);
  const written = [output, ...reportsOf(output), trace, statistics]
    .filter((path) => path !== undefined);
  await refuseOverwriting([...files, ...recipeFiles], written);
  using display = new StoppableDisplay();
  const report = await clean({
    recipe,
    inputs: files,
    output,
    statistics,
    traces: trace === undefined
      ? undefined
      : { path: trace, ofEach: numberOption(flags, "traced") ?? 10 },
    workers: workersOf(flags),
    strict: flags.options.strict === true,
    reading: {
      corpus: textOption(flags, "corpus"),
      asPublished: flags.options["as-published"] === true,
    },
    tokenizer: textOption(flags, "tokenizer"),
    sentencePiece: textOption(flags, "sentencepiece"),
    perplexity: await perplexityOf(flags),
    onProgress: (progress) => display.show(progress),
    onMessage: (text) => display.line(text),
  });
  display.stop();
  await writeReport(report, output);
  console.log(cleanSummary(report));
  console.log(["", ...written].join("\n"));
  console.log(tokenizingOf(output));
}

/** The command that makes shards of cleaned documents, as the last line. */
function tokenizingOf(cleaned: string): string {
  return next("data", "tokenize", "--input", cleaned, "--output", `${cleaned}.shards`);
}

async function perplexityOf(flags: Flags): Promise<PerplexitySettings | undefined> {
  const reference = flags.options["perplexity-reference"] as string[];
  const arpa = textOption(flags, "perplexity-model");
  const sentencePiece = textOption(flags, "sentencepiece");
  const percentile = numberOption(flags, "percentile");
  if (percentile !== undefined && percentile > 100) {
    throw new UserError(`--percentile is ${percentile}; expected 1 to 100`);
  }
  if (arpa !== undefined) {
    if (sentencePiece !== undefined && reference.length === 0) {
      return { arpa, sentencePiece, percentile };
    }
    throw new UserError(
      "--perplexity-model needs --sentencepiece, and excludes --perplexity-reference",
    );
  }
  if (reference.length === 0) {
    if (percentile === undefined) return undefined;
    throw new UserError("--percentile needs --perplexity-model or --perplexity-reference");
  }
  return { reference: await filesOf(reference), percentile };
}

/** The paths of the reports of a cleaning, beside its output. */
function reportsOf(output: string): [json: string, page: string] {
  return [`${output}.report.json`, `${output}.report.html`];
}

async function writeReport(report: CleanReport, output: string): Promise<void> {
  const [json, page] = reportsOf(output);
  await WholeFile.write(json, JSON.stringify(report, null, 2) + "\n");
  await WholeFile.write(page, toHtml(cleanReportPage(report)));
}

function shardOptions(flags: Flags) {
  const format = textOption(flags, "format");
  if (format !== undefined && format !== "steel" && format !== "litpkds") {
    throw new UserError(`--format is ${format}; expected steel or litpkds`);
  }
  return {
    tokenizer: textOption(flags, "tokenizer"),
    format: format as ShardFormat | undefined,
    sequence: numberOption(flags, "sequence"),
    blocksPerShard: numberOption(flags, "blocks-per-shard"),
    workers: workersOf(flags),
    strict: flags.options.strict === true,
  };
}

async function tokenizeCommand(flags: Flags): Promise<void> {
  const output = requiredOption(flags, "output");
  const files = await inputFiles(flags, output);
  using display = new StoppableDisplay();
  const { manifest, problems, seconds } = await tokenize({
    sources: files.map((file) => ({ name: file, files: [file] })),
    output,
    ...shardOptions(flags),
    onProgress: (progress) => display.show(progress),
    onMessage: (text) => display.line(text),
  });
  display.stop();
  console.log(mixtureTable(manifest.sources));
  for (const line of problemSummary(problems)) console.log(line);
  console.log(
    `\n${countOf(manifest.shards.length, "shard")} in ${output}, ${seconds.toFixed(1)} s`,
  );
  console.log(pretrainingOn(output));
}

async function prepareCommand(flags: Flags): Promise<void> {
  const output = requiredOption(flags, "output");
  const page = `${output}/report.html`;
  if (!await exists(`${output}/report.json`)) await refuseReplacing(page);
  const settings = await readPrepareSettings(requiredOption(flags, "settings"), output);
  const given = Object.entries(shardOptions(flags)).filter(([, value]) => value !== undefined);
  using display = new StoppableDisplay();
  const report = await prepare({
    ...settings,
    output,
    ...Object.fromEntries(given),
    onProgress: (progress) => display.show(progress),
    onMessage: (text) => display.line(text),
  });
  display.stop();
  await WholeFile.write(page, toHtml(prepareReportPage(report)));
  console.log(prepareSummary(report));
  console.log(
    `\n${countOf(report.tokenized.manifest.shards.length, "shard")} in ${output}\n${page}`,
  );
  console.log(pretrainingOn(output));
}

/** The command that trains on shards, with their whole vocabulary, as the last line. */
function pretrainingOn(source: string, setting = "--data.vocabulary=0"): string {
  const run = `--run.dir=runs/${parsePath(source).name}`;
  return next("pretrain", `--data.source=${source}`, setting, run);
}

async function inspectCommand(flags: Flags): Promise<void> {
  const { paths, options } = flags;
  if (paths.length === 0) {
    throw new UserError("inspect needs files or folders to look at; see --help");
  }
  const withoutDocuments: string[] = [];
  let train = "";
  for (const path of paths) {
    const { isDirectory } = await Deno.stat(path).catch(() => {
      throw new UserError(`${path}: there is no such file or folder`);
    });
    if (options.adopt) {
      if (!isDirectory) {
        throw new UserError(`--adopt is for folders of shards, and ${path} is a file`);
      }
      await adoptShards(path, (numberOption(flags, "sequence") ?? 2048) + 1);
    }
    const isShards = isDirectory && await hasShards(path);
    if (isShards) console.log(await inspectShards(path));
    else if (await showDocuments(path) === 0) withoutDocuments.push(path);
    // Of files, pretraining would take a part only.
    train = pretrainingOn(path, isShards ? undefined : "--data.tokens=0");
  }
  if (withoutDocuments.length > 0) {
    throw new UserError(
      `${withoutDocuments.join(", ")}: no document can be read from it, so there is nothing to ` +
        `train on. Damage is named above; docs/data.md says what files may hold.`,
    );
  }
  console.log(train);
}

/** Shows what a file, or each file of a folder, holds. Returns the number of documents. */
async function showDocuments(path: string): Promise<number> {
  let sum = 0;
  for (const file of await filesOf([path])) {
    const { documents, summary } = await inspectFile(file);
    console.log(summary);
    sum += documents;
  }
  return sum;
}

async function reportCommand({ paths }: Flags): Promise<void> {
  if (paths.length === 0) throw new UserError("report needs the JSON file of a report; see --help");
  for (const path of paths) {
    const report = await readReport(path);
    const page = path.replace(/\.json$/, "") + ".html";
    const isPrepared = "tokenized" in report;
    await WholeFile.write(
      page,
      toHtml(isPrepared ? prepareReportPage(report) : cleanReportPage(report)),
    );
    console.log(`${isPrepared ? prepareSummary(report) : cleanSummary(report)}\n\n${page}`);
    if (path !== paths.at(-1)) continue;
    const nextCommand = isPrepared
      ? pretrainingOn(dirname(path))
      : tokenizingOf(path.replace(/(\.report)?\.json$/, ""));
    console.log(`Open it in a browser. ${nextCommand}`);
  }
}
