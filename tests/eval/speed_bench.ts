/**
 * `deno task bench:eval DATA [options]`: how fast a Steel-LLM of Table 1's size answers C-Eval, CMMLU
 * and MMLU with five shots, beside its forward pass alone, and how fast it writes, beside the reading
 * of its weights. They are random; a software driver gets a small model.
 *
 * DATA holds the benchmarks' folders or archives: ceval, cmmlu and mmlu, or the same with .zip or .tar.
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "node:path";
import { Random } from "../../data/random.ts";
import { evaluate } from "../../eval/evaluate.ts";
import { type Exam, readExam } from "../../eval/exam.ts";
import { modelAnswerer } from "../../eval/model-answerer.ts";
import { buildPrompt } from "../../eval/prompt.ts";
import { benchmarkCopy } from "../../kernels/benchmark.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { continueTexts } from "../../model/inference/continue-texts.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { exists } from "../../data/files/exists.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { atLeastOne } from "../../model/number-range.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import type { SamplingOptions } from "../../model/inference/sampling.ts";
import { samplingOptions } from "../../model/command-line/sampling-flags.ts";
import { benchmarkModel } from "../../train/bench/benchmark-model.ts";
import { benchmarkForward } from "../../train/bench/forward-benchmark.ts";
import { randomModel } from "./random-model.ts";

const HELP =
  `Measures how fast a model with the sizes of Steel-LLM and random weights answers C-Eval, CMMLU and
MMLU with five shots, and how fast it writes. On a software driver it takes a small model.

Usage:
  deno task bench:eval DATA [options]

Example:
  deno task bench:eval cache --seconds=30

Options, with defaults in brackets:
  DATA                     folder that holds ceval, cmmlu and mmlu, or the same with .zip or .tar
  --seconds N              longest time for each benchmark, in seconds [60]
  --help                   show this text

${DEVICE_HELP}`;

/** What is timed beside the evaluations: micro-batch 8 on a GPU, as in deno task bench. */
const CEILING = { gpu: { microBatch: 8, passes: 8 }, cpu: { microBatch: 2, passes: 2 } };
/** Tokens that each text is continued by, and how many of them are not timed. */
const WRITTEN = { gpu: 128, cpu: 8 };
const WARM_UP = 4;
/** Elements of the copy that says how fast memory is read. */
const COPIED = { gpu: 1 << 27, cpu: 1 << 22 };

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["seconds", "gpu", "precision"],
    boolean: ["help"],
    unknown: (argument: string, name?: string) => {
      if (name !== undefined) {
        throw new UserError(`unknown option ${argument}; --help lists all options`);
      }
    },
  });
  if (flags.help) return console.log(HELP);
  if (flags._.length !== 1) throw new UserError(`Give one DATA.\n\n${HELP}`);
  const seconds = numberFlag("seconds", flags.seconds, atLeastOne) ?? 60;
  const benchmarks = ["ceval", "cmmlu", "mmlu"];
  const exams = await Promise.all(benchmarks.map((name) => examOf(name, String(flags._[0]))));
  await installMissingDriver();
  const model = await randomModel(deviceOptions(flags));
  for (const exam of exams) {
    await benchQuestions(model, exam, seconds);
    if (exam.benchmark.key === "ceval") {
      for (const texts of [1, 32]) {
        await benchWriting(model, exam, texts, "the likeliest tokens", {});
        await benchWriting(model, exam, texts, "drawn as chat does", samplingOptions({}));
      }
    }
  }
  model.close();
});

/** The benchmark with the split, prompt and shots of its authors. */
async function examOf(benchmark: string, folder: string): Promise<Exam> {
  for (const ending of ["", ".zip", ".tar"]) {
    const data = join(folder, benchmark + ending);
    if (!await exists(data)) continue;
    const settings = { benchmark, protocol: "official", data };
    return await readExam({ ...settings, chainOfThought: false, keepGoing: false });
  }
  throw new UserError(`${folder}: no ${benchmark}, ${benchmark}.zip or ${benchmark}.tar in it`);
}

/** The ceiling before and after, as a GPU's clock changes, and what the evaluation reaches. */
async function benchQuestions(model: LanguageModel, exam: Exam, seconds: number): Promise<void> {
  const before = await ceiling(model);
  const asked = { ...exam, shots: exam.examples, seed: 0 };
  const began = performance.now();
  let first = { at: 0, tokens: 0, questions: 0 };
  let [at, tokens, questions] = [0, 0, 0];
  for await (const answers of evaluate(asked, modelAnswerer(model, "random"))) {
    at = (performance.now() - began) / 1000;
    tokens += answers.reduce((sum, answer) => sum + answer.tokens, 0);
    questions += answers.length;
    // Until the first answers, pipelines are compiled.
    if (first.at === 0) first = { at, tokens, questions };
    if (at > seconds) break;
  }
  const after = await ceiling(model);
  const rate = (tokens - first.tokens) / (at - first.at);
  const share = (ceiling: number) => `${(100 * rate / ceiling).toFixed(0)} %`;
  console.log(
    `${exam.benchmark.title}: ${questions} of ${exam.questions.length} questions in ` +
      `${at.toFixed(1)} s, ${(questions / at).toFixed(1)} a second; after the first batch's ` +
      `${first.at.toFixed(1)} s ` +
      `${((questions - first.questions) / (at - first.at)).toFixed(1)} a second, ` +
      `${rate.toFixed(0)} tokens/s: ${share(before)} of the forward pass before ` +
      `(${before.toFixed(0)} tokens/s), ${share(after)} of that after (${after.toFixed(0)})`,
  );
}

async function ceiling({ gpu, parameters }: LanguageModel): Promise<number> {
  const { cpu } = gpu.capabilities;
  const { microBatch, passes } = CEILING[cpu ? "cpu" : "gpu"];
  const { sequence } = await benchmarkModel(cpu);
  return benchmarkForward(gpu, parameters, { microBatch, sequence }, passes);
}

/** Continues questions asked as a chat, and how near that comes to reading every weight once a step. */
async function benchWriting(
  model: LanguageModel,
  exam: Exam,
  texts: number,
  how: string,
  sampling: SamplingOptions,
): Promise<void> {
  const { gpu, parameters, tokenizer } = model;
  const device = gpu.capabilities.cpu ? "cpu" : "gpu";
  const { format, benchmark, questions } = exam;
  const prompts = questions.slice(0, texts).map((question) =>
    buildPrompt(format, benchmark.subjects[0], [], question, tokenizer, 2048).ids
  );
  const { rate } = await benchmarkCopy(gpu, COPIED[device]);
  const count = WRITTEN[device] + WARM_UP;
  const continued = prompts.map((ids, text) => ({
    ...{ ids, maxTokens: count, sampling, random: new Random(text), stopIds: new Set<number>() },
  }));
  let written = 0;
  let began = 0;
  for await (const _ of continueTexts(gpu, parameters, continued)) {
    if (++written === WARM_UP) began = performance.now();
  }
  const milliseconds = (performance.now() - began) / WRITTEN[device];
  const gigabytes = weightBytes(parameters) / 1e9;
  console.log(
    `writing ${texts} texts at once, ${how}: ${
      (1000 * texts / milliseconds).toFixed(1)
    } tokens/s, ` +
      `${milliseconds.toFixed(2)} ms a step; reading ${gigabytes.toFixed(2)} GB of weights takes ` +
      `${(1000 * gigabytes / rate).toFixed(2)} ms at a copy's ${rate.toFixed(0)} GB/s: ` +
      `${(100 * 1000 * gigabytes / rate / milliseconds).toFixed(0)} %`,
  );
}

/** Weights that every step reads: all but the embedding, of which it reads a row a text. */
function weightBytes({ tensors, embedding, head }: Parameters): number {
  return tensors
    .filter((tensor) => tensor !== embedding || tensor === head.weight)
    .reduce((sum, tensor) => sum + (tensor.half ?? tensor).storage.bytes, 0);
}
