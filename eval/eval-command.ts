/** `deno task eval`: benchmarks, comparison of their results, and perplexity. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { commandArguments, GPUS_MEANING } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next } from "../kernels/host/next-command.ts";
import { StopSignals } from "../kernels/host/stop-signals.ts";
import type { Communicator } from "../kernels/ranks/communicator.ts";
import { requireSame } from "../kernels/ranks/agree.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../model/command-line/device-flags.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import { numberFlag } from "../model/command-line/number-flag.ts";
import { type CommandRanks, onOneProcess, runOnGpus } from "../model/command-line/run-on-gpus.ts";
import { programVersion } from "../model/host/program-version.ts";
import { isCausal } from "../model/network/config.ts";
import { atLeastOne, count } from "../model/number-range.ts";
import { StoppableDisplay } from "../data/progress/stoppable-display.ts";
import {
  evaluationsOf,
  readResults,
  type Results,
  type Split,
} from "../model/host/evaluation-results.ts";
import { modelInWords, newestCheckpoint, newestRun } from "../model/host/run-folder.ts";
import { alwaysLetter, type Answerer } from "./answerer.ts";
import { BENCHMARK_NAMES, DEMO_DATA, publishedBenchmark } from "./benchmarks/benchmarks.ts";
import { isLetter, type Letter } from "./benchmarks/benchmark.ts";
import { comparisonTable } from "./compare.ts";
import { writeDemoExam } from "./demo-exam.ts";
import { downloadBenchmark } from "./download.ts";
import { readExam } from "./exam.ts";
import { fingerprint, modelAnswerer } from "./model-answerer.ts";
import {
  EMBEDDED_BYTES,
  perplexity,
  type Prediction,
  predictorBy,
  readSources,
} from "./perplexity.ts";
import { type PerplexityResults, writePerplexity } from "./perplexity-results.ts";
import { PROTOCOL_NAMES } from "./protocols/protocols.ts";
import { categoryTable, speedText, subjectTable } from "./result-tables.ts";
import { type EvaluationSettings, helpEvaluation, runEvaluation } from "./run-evaluation.ts";
import { textTable } from "../data/page/table.ts";
import { loadModel } from "../model/host/load-model.ts";

const HELP =
  `Evaluates a model: answers multiple-choice exams, or measures the perplexity of a text.

Usage:
  deno task eval demo [--model DIR] [options]
  deno task eval BENCHMARK --model DIR --data PATH [options]
  deno task eval compare RESULTS...
  deno task eval ppl FILE --model DIR [--by WAYS] [--window N] [--batch N] [--out DIR]

Examples:
  deno task eval demo
  deno task eval ceval --model runs/steel-1b --data ceval-exam.zip
  deno task eval compare runs/eval/sft-step-0000224/exam-sft runs/eval/dpo-step-0000061/exam-sft

Commands:
  demo                     the exam about the embedded poems; needs no data
  BENCHMARK                ceval, cmmlu, mmlu, or exam for your own questions in C-Eval's layout
  compare                  the paper's Table 4 with the results of several folders
  ppl                      perplexity and bits per byte of a FILE or folder, read as in pretraining;
                           embedded: of what is held out of the embedded text, by source

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one;
                           always:A, B, C or D answers that letter without a model
                           [demo: the newest fine-tuned run]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --data PATH              the benchmark as its authors publish it: a folder, .zip or .tar
                           [cache/BENCHMARK]
  --download               download the benchmark from its authors into cache/, once
  --out DIR                folder for answers and results; a stopped evaluation goes on from there
                           [runs/eval/MODEL/BENCHMARK-PROTOCOL; ppl: none]
  --keep-going             skip missing subjects, broken files and bad rows instead of stopping
  --help                   show this text

What is asked:
  --protocol NAME          prompt and scoring: ${PROTOCOL_NAMES.join(", ")}
                           [official; demo: sft]
  --split NAME             dev, val or test [the split that published scores use]
  --shots N                number of solved examples before each question [as the protocol says]
  --subjects A,B           only these subjects
  --limit N                at most N questions, spread over categories and subjects
  --cot                    ask for step-by-step reasoning, if the protocol has such a prompt

How it is computed:
  --batch N                questions (ppl: windows) in one forward pass; in f32 it changes no answer
                           [as many as suit the device; ppl: 8]
  --window N               ppl: longest text in one forward pass, in tokens
                           [max_position_embeddings of the model, at most 1024]
  --by WAY,WAY             ppl: how tokens are predicted: whole (from a pass over the window),
                           prefixes (over the tokens before), decoding (as generated) [whole]
  --bytes N                ppl embedded: bytes of each source that are read [${EMBEDDED_BYTES}]
  --gpus N                 ${GPUS_MEANING} [1]
  --seed N                 seed for sampling, and for guesses in protocols that guess [0]

${DEVICE_HELP}`;

const MODEL_OPTIONS = ["model", "adapter", "batch", "gpu", "gpus", "precision"];
const EXAM_OPTIONS = [
  ...[...MODEL_OPTIONS, "protocol", "split", "shots", "subjects", "limit", "cot", "seed"],
  ...["keep-going", "out"],
];

/** The options of evaluations that are not of a benchmark. */
const OPTIONS = new Map([
  ["demo", EXAM_OPTIONS],
  ["compare", []],
  ["ppl", [...MODEL_OPTIONS, "window", "by", "bytes", "out"]],
]);
const BENCHMARK_OPTIONS = [...EXAM_OPTIONS, "data", "download"];

/** Runs the command line. @throws {UserError} with a message for the person who typed it */
export async function evalCommand(
  argv: string[],
  ranks: CommandRanks = onOneProcess,
): Promise<void> {
  const { values, positionals } = parse(argv);
  const [what, ...rest] = positionals;
  if (values.help) return console.log(HELP);
  if (what === undefined) {
    throw new UserError("Say what to evaluate, as in deno task eval demo; see --help");
  }
  checkOptions(what, values);
  if (what === "compare") {
    if (rest.length === 0) throw new UserError("compare: give folders of results; see --help");
    console.log(textTable(comparisonTable(await Promise.all(rest.map(readResults)))));
    console.log(next("report", "runs"));
  } else if (what === "ppl") {
    await showPerplexity(rest, values, ranks);
  } else if (what === "demo") {
    const { model = await newestRun("fine-tuned"), protocol = "sft" } = values;
    if (values.model === undefined) console.error(`The model: ${await modelInWords(model)}`);
    await ranks.once(() => writeDemoExam(DEMO_DATA));
    await showEvaluation("exam", rest, { ...values, model, protocol, data: DEMO_DATA }, ranks);
  } else {
    await showEvaluation(what, rest, values, ranks);
  }
}

type Values = ReturnType<typeof parse>["values"];

function parse(argv: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...{ model: text, adapter: text, data: text, protocol: text, split: text, shots: text },
        subjects: { ...text, multiple: true },
        ...{ limit: text, cot: flag, batch: text, seed: text, "keep-going": flag, out: text },
        ...{
          gpu: text,
          gpus: text,
          precision: text,
          window: text,
          by: text,
          bytes: text,
          download: flag,
          help: flag,
        },
      },
    });
  } catch (error) {
    // What follows the first sentence is advice that fits no option here.
    const [mistake] = (error as Error).message.split(/\.\s/);
    throw new UserError(`${mistake}; --help lists the options`);
  }
}

/** Refuses options that this evaluation does not use. @throws UserError for such an option */
function checkOptions(what: string, values: Values): void {
  const options = OPTIONS.get(what) ?? BENCHMARK_OPTIONS;
  const other = Object.keys(values).find((name) => !options.includes(name));
  if (other !== undefined) throw new UserError(`${what} takes no --${other}; see --help`);
  if (values.download && values.data !== undefined) {
    throw new UserError("--download fetches the benchmark into the cache; leave --data out");
  }
}

async function showEvaluation(
  benchmark: string,
  rest: string[],
  values: Values,
  commandRanks: CommandRanks,
): Promise<void> {
  if (rest.length > 0) throw new UserError(`${rest[0]}: one benchmark at a time; see --help`);
  if (!BENCHMARK_NAMES.includes(benchmark)) {
    throw new UserError(
      `there is no benchmark ${benchmark}; expected ${BENCHMARK_NAMES.join(", ")}`,
    );
  }
  const { model, protocol = "official" } = values;
  if (model === undefined) {
    throw new UserError("--model: give the folder of a checkpoint or run, or always:A");
  }
  const folder = await newestCheckpoint(model) ?? join(model).replace(/\/$/, "");
  const letter = letterOf(folder, values);
  const { adapter } = values;
  const name = adapter ? `${folder} + ${join(adapter).replace(/\/$/, "")}` : folder;
  const settings = await settingsOf(benchmark, protocol, name, values, commandRanks);
  await readExam(settings); // reports mistakes in settings and files before a model is loaded
  const results = letter ? await evaluate(settings, alwaysLetter(letter)) : await withModel(
    folder,
    values,
    commandRanks,
    (model, ranks) => evaluate(settings, modelAnswerer(model, name), ranks),
  );
  if (!results) return;
  if (results.scores) console.log(textTable(subjectTable(results)) + "\n");
  console.log(textTable(categoryTable(results)));
  // Not beside the tables, which are the same every time.
  const speed = speedText(results);
  if (speed) console.error(speed);
  console.log(`written to ${settings.out}`);
  console.log(next("report", "runs"));
}

/** Evaluates, alone or as one of several ranks. Returns the results; undefined on all but rank 0. */
async function evaluate(
  settings: EvaluationSettings,
  answerer: Answerer,
  ranks?: Communicator,
): Promise<Results | undefined> {
  if (ranks && ranks.rank > 0) {
    // Rank 0 tells what happens.
    using stop = new StopSignals(() => {}, () => {});
    stop.listen();
    await helpEvaluation(settings, answerer, { ranks, signal: stop.signal });
    return undefined;
  }
  using display = new StoppableDisplay();
  return await runEvaluation(
    settings,
    answerer,
    (progress) => display.show(progress),
    (text) => display.line(text),
    ranks && ranks.size > 1 ? { ranks, signal: display.signal } : undefined,
  );
}

async function settingsOf(
  benchmark: string,
  protocol: string,
  model: string,
  values: Values,
  ranks: CommandRanks,
): Promise<EvaluationSettings> {
  return {
    benchmark,
    protocol,
    data: values.data ?? await cached(benchmark, values.download ?? false, ranks),
    out: values.out ?? `${evaluationsOf(model)}/${benchmark}-${protocol}`,
    split: splitOf(values.split),
    shots: numberFlag("shots", values.shots, count),
    subjects: values.subjects?.flatMap((list) => list.split(",")).map((handle) => handle.trim()),
    limit: numberFlag("limit", values.limit, atLeastOne),
    chainOfThought: values.cot ?? false,
    batch: numberFlag("batch", values.batch, atLeastOne),
    seed: numberFlag("seed", values.seed, count) ?? 0,
    keepGoing: values["keep-going"] ?? false,
  };
}

/** The path of a benchmark in the cache; it is downloaded first if asked. */
async function cached(
  benchmark: string,
  download: boolean,
  ranks: CommandRanks,
): Promise<string> {
  const path = `cache/${benchmark}`;
  if (!download) return path;
  const published = publishedBenchmark(benchmark);
  console.log(`${published.title} from ${published.published.url}`);
  await ranks.once(() => downloadBenchmark(published, path));
  return path;
}

async function showPerplexity(
  [file, ...rest]: string[],
  values: Values,
  commandRanks: CommandRanks,
): Promise<void> {
  if (file === undefined || rest.length > 0) throw new UserError("ppl: give one FILE; see --help");
  if (values.model === undefined) throw new UserError("--model: give a checkpoint folder");
  const ways = waysOf(values.by ?? "whole");
  if (values.bytes !== undefined && file !== "embedded") {
    throw new UserError("--bytes is for ppl embedded; of a file, all text is read");
  }
  const bytes = numberFlag("bytes", values.bytes, atLeastOne) ?? EMBEDDED_BYTES;
  const texts = await readSources(file, bytes);
  const results: PerplexityResults = { model: values.model, window: 0, sources: {} };
  await withModel(values.model, values, commandRanks, async (model, ranks) => {
    const { maxPositions } = model.config;
    const window = numberFlag("window", values.window, { ...atLeastOne, most: maxPositions }) ??
      Math.min(maxPositions, 1024);
    const batch = numberFlag("batch", values.batch, atLeastOne) ?? 8;
    const documents = [...texts.values()].flat();
    if (ranks.size > 1) await agreeOnText(model, { documents, window, batch }, ranks);
    results.window = window;
    for (const [source, documents] of texts) {
      const ofSource = results.sources[source] = {} as typeof results.sources[string];
      for (const way of ways) {
        const predictor = predictorBy(way, model, batch);
        const found = ofSource[way] = await perplexity(predictor, documents, window, batch, ranks);
        const [bits, measure] = [found.bitsPerByte.toFixed(4), found.perplexity.toFixed(3)];
        console.log(
          `${source}: ${bits} bits per byte, perplexity ${measure} (${found.tokens} tokens, ` +
            `${found.bytes} bytes, windows of ${window}${way === "whole" ? "" : `, by ${way}`})`,
        );
      }
    }
    if (values.out !== undefined && ranks.rank === 0) {
      await writePerplexity(values.out, results);
      console.log(`written to ${values.out}`);
    }
    if (ways.includes("whole") && !isCausal(model.config)) {
      console.log(
        "The model's feed-forward layers mix all tokens of a window, so that later tokens leak into " +
          "the prediction of earlier ones: do not compare these figures with a causal model's. " +
          "--by=decoding predicts from earlier tokens alone.",
      );
    }
  });
  console.log(next("generate", "--model", values.model));
}

/** Refuses ranks that would not read the same text with the same model. */
async function agreeOnText(
  model: LanguageModel,
  { documents, window, batch }: { documents: string[]; window: number; batch: number },
  ranks: Communicator,
): Promise<void> {
  const text = createHash("sha256").update(JSON.stringify(documents)).digest("hex");
  const facts = {
    program: await programVersion(),
    ...{ text: text.slice(0, 16), window, batch, weights: await fingerprint(model) },
  };
  const { name: device } = model.gpu.capabilities;
  await requireSame(ranks, facts, { device }, console.error);
}

/** The ways that a list names. @throws {UserError} for any other */
function waysOf(list: string): Prediction[] {
  return list.split(",").map((way) => {
    if (way === "whole" || way === "prefixes" || way === "decoding") return way;
    throw new UserError(`--by=${list}: expected whole, prefixes or decoding`);
  });
}

/** The letter of `always:A`; none where a model is named. */
function letterOf(name: string, values: Values): Letter | undefined {
  const letter = /^always:(.*)$/.exec(name)?.[1];
  if (letter === undefined) return undefined;
  if (!isLetter(letter)) throw new UserError(`--model=${name}: expected always:A, B, C or D`);
  if (values.gpu ?? values.gpus ?? values.precision ?? values.adapter) {
    throw new UserError(
      `--model=${name} computes nothing; leave --gpu, --gpus, --precision and --adapter out`,
    );
  }
  return letter;
}

async function withModel<T>(
  folder: string,
  values: Values,
  commandRanks: CommandRanks,
  use: (model: LanguageModel, ranks: Communicator) => Promise<T>,
): Promise<T> {
  const device = deviceOptions(values);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const ranks = await commandRanks.start(values.gpus);
  const onMessage = ranks.rank === 0 ? console.error : undefined;
  const { adapter } = values;
  const model = await loadModel(folder, { ...device, adapter, onMessage });
  try {
    return await use(model, ranks);
  } finally {
    model.close();
  }
}

function splitOf(value: string | undefined): Split | undefined {
  if (value === undefined || value === "dev" || value === "val" || value === "test") return value;
  throw new UserError(`--split=${value}: expected dev, val or test`);
}

// The task grants the network for this alone: nothing that reads other people's files has it.
if (import.meta.main && !Deno.args.includes("--download")) {
  await Deno.permissions.revoke({ name: "net" });
}
if (import.meta.main) await runOnGpus((ranks) => evalCommand(commandArguments(), ranks));
