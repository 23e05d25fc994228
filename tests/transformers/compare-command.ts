/**
 * `deno task bench:peers`: models of other families with random weights beside transformers on the
 * same GPU: logits, and the speed of the forward pass, training, LoRA and writing.
 */
import { join } from "node:path";
import { parseArgs } from "@std/cli/parse-args";
import { makeFolder } from "../../data/files/make-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { markdownTable } from "../../data/page/table.ts";
import { Random } from "../../data/random.ts";
import { messageOf } from "../../data/text/error-message.ts";
import { formatJson } from "../../data/text/json.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { type Adaptation, linearLayers } from "../../model/network/adaptation.ts";
import { type ModelConfig, parseConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { isMixed } from "../../model/network/precision.ts";
import { atLeastOne } from "../../model/number-range.ts";
import { randomWeights } from "../../train/bench/benchmark-model.ts";
import { benchmarkForward } from "../../train/bench/forward-benchmark.ts";
import { benchmarkStep } from "../../train/bench/step-benchmark.ts";
import { runPython } from "./run-python.ts";

const HELP = `Compares models of other families with transformers on this machine's GPU.

Two models with random weights, of the sizes of TinyLlama 1.1B and Qwen2 0.5B, are written as
checkpoints in bfloat16. Logits of both programs are compared with transformers' in float32; speeds
stand side by side: forward pass, training, LoRA and writing. Python needs PyTorch and transformers,
and PEFT for LoRA. What fails is told, and the rest goes on.

Usage:
  deno task bench:peers [options]

Example:
  deno task bench:peers --python=/opt/venv/bin/python3

Options, with defaults in brackets:
  --python PATH            Python with PyTorch, transformers and PEFT [python3]
  --seconds N              nothing is begun that would end after about so many seconds [150]
  --output DIR             folder for figures.json [runs/against-transformers]
  --help                   show this text

${DEVICE_HELP}`;

const SHARED = { model_type: "llama", hidden_act: "silu", bos_token_id: 1, eos_token_id: 2 };

const MODELS: Record<string, Record<string, unknown>> = {
  "TinyLlama 1.1B": {
    ...{ ...SHARED, architectures: ["LlamaForCausalLM"], vocab_size: 32000, hidden_size: 2048 },
    ...{ intermediate_size: 5632, num_hidden_layers: 22, num_attention_heads: 32 },
    ...{ num_key_value_heads: 4, max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
    ...{ rope_theta: 10000.0, tie_word_embeddings: false },
  },
  "Qwen2 0.5B": {
    ...{ ...SHARED, model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] },
    ...{ vocab_size: 151936, hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24 },
    ...{ num_attention_heads: 14, num_key_value_heads: 2, max_position_embeddings: 32768 },
    ...{ rms_norm_eps: 1e-6, rope_theta: 1000000.0, tie_word_embeddings: true },
  },
};

/** On a software driver: only to see that everything runs. */
const SMALL = {
  ...{ vocab_size: 512, hidden_size: 64, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2 },
};

/** What both sides are asked for. */
const SIZES = {
  gpu: { compared: 256, microBatch: 4, sequence: 1024, prompt: 128, newTokens: 128, passes: 8 },
  cpu: { compared: 16, microBatch: 2, sequence: 32, prompt: 8, newTokens: 4, passes: 1 },
};
const TEXTS = [1, 32];
const RANK = 16;
const ALPHA = 32;

/** The share of the time in which transformers begins to measure. */
const THEIR_SHARE = 0.6;

/** How long what transformers has begun may take. */
const GRACE = 60;

/** Beside the checkpoint: what transformers is asked for, and its logits in float32. */
const INPUTS = "inputs.json";
const REFERENCE = "reference.f32";

/** What is measured, in the order of the table. */
const ROWS: [key: string, title: string][] = [
  ["logitsError", "logits, error relative to float32"],
  ["forward", "forward pass below the head, tokens/s"],
  ["training", "training, tokens/s"],
  ["lora", `LoRA of rank ${RANK}, tokens/s`],
  ...TEXTS.map((texts): [string, string] => [
    `writing${texts}`,
    `writing ${texts} ${texts === 1 ? "text" : "texts"}, tokens/s`,
  ]),
];

/** What one program measured: each figure, or why there is none. */
interface Side {
  readonly figures: Record<string, number>;
  readonly missing: Record<string, string>;
  /** Of PyTorch and transformers. */
  versions?: Record<string, unknown>;
}

/** A model as both programs measured it. */
interface Compared {
  readonly name: string;
  readonly device: string;
  readonly ours: Side;
  readonly theirs: Side;
}

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["python", "seconds", "output", "gpu", "precision"],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const { python = "python3", output = "runs/against-transformers" } = flags;
  const seconds = numberFlag("seconds", flags.seconds, atLeastOne) ?? 150;
  const device = deviceOptions(flags);
  await installMissingDriver();
  const work = await Deno.makeTempDir({ prefix: "transformers-" });
  const place = { ...device, python, work, seconds };
  try {
    const compared = await compare(place);
    await makeFolder(output);
    await WholeFile.write(join(output, "figures.json"), formatJson(compared));
    console.log(tableOf(compared));
    console.log(`\nThe figures are in ${join(output, "figures.json")}.`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});

/** Where a comparison computes, and how long. */
interface Place extends ReturnType<typeof deviceOptions> {
  readonly python: string;
  /** A folder that is removed after. */
  readonly work: string;
  readonly seconds: number;
}

/** A model on the disk, and what both programs are asked for. */
interface Task {
  readonly dir: string;
  readonly config: ModelConfig;
  readonly ids: number[];
  readonly sizes: typeof SIZES.gpu;
}

/** Transformers comes first, while it has all memory of the GPU. */
async function compare(place: Place): Promise<Compared[]> {
  const { cpu, name: device } = await capabilitiesOf(place.gpu);
  const sizes = SIZES[cpu ? "cpu" : "gpu"];
  const models = Object.entries(MODELS);
  const begun: { name: string; task: Task; theirs: Side }[] = [];
  for (const [index, [name, json]] of models.entries()) {
    console.error(`${name}: writing a checkpoint`);
    const config = parseConfig(cpu ? { ...json, ...SMALL } : json, name);
    const random = new Random(5);
    const ids = Array.from({ length: sizes.compared }, () => random.below(config.vocabSize));
    const task = { dir: join(place.work, String(index)), config, ids, sizes };
    await writeRandom(task.dir, config);
    // What a model leaves is there for the next one.
    const end = THEIR_SHARE * place.seconds * (index + 1) / models.length;
    begun.push({ name, task, theirs: await theirFigures(place, task, end - secondsSoFar()) });
  }
  const compared: Compared[] = [];
  for (const [index, { name, task, theirs }] of begun.entries()) {
    console.error(`${name}: here`);
    const share = THEIR_SHARE + (1 - THEIR_SHARE) * (index + 1) / models.length;
    const ours = await ourFigures(place, task, share * place.seconds);
    compared.push({ name, device, ours, theirs });
  }
  return compared;
}

/** Since the command was started. */
function secondsSoFar(): number {
  return performance.now() / 1000;
}

/** Of the GPU, which is closed again: Python gets all of its memory. */
async function capabilitiesOf(implementation: Place["gpu"]) {
  const gpu = await openGpu(implementation);
  gpu.close();
  return gpu.capabilities;
}

/** Writes a checkpoint with random weights in bfloat16. */
async function writeRandom(dir: string, config: ModelConfig): Promise<void> {
  const parameters = new Map(parameterShapes(config).map((each) => [each.name, each]));
  await writeCheckpoint(dir, {
    config,
    dtype: "BF16",
    tensors: (name) => randomWeights(parameters.get(name)!),
  });
}

/** @param seconds in which transformers may begin to measure */
async function theirFigures(
  { python }: Place,
  { dir, ids, sizes }: Task,
  seconds: number,
): Promise<Side> {
  const asked = { ...sizes, ids, texts: TEXTS, rank: RANK, alpha: ALPHA, seconds };
  await Deno.writeTextFile(join(dir, INPUTS), JSON.stringify(asked));
  const side: Side = { figures: {}, missing: {} };
  try {
    for await (const line of runPython(python, "transformers_side.py", [dir], seconds + GRACE)) {
      const { key, value, why } = line;
      if (typeof key !== "string") side.versions = line;
      else if (typeof value === "number") note(side, key, value);
      else note(side, key, String(why));
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const [key] of ROWS) if (!(key in side.figures)) side.missing[key] ??= error.message;
    console.error(error.message);
  }
  return side;
}

/** Keeps a figure or why there is none, and shows it: the command takes minutes. */
function note(
  { figures, missing }: Side,
  key: string,
  value: number | string,
  who = "transformers",
) {
  if (typeof value === "number" && Number.isFinite(value)) figures[key] = value;
  else missing[key] = String(value);
  console.error(`${who}: ${key} ${typeof value === "number" ? value.toPrecision(4) : value}`);
}

/** @param end seconds of the command after which nothing is begun */
async function ourFigures(
  { gpu: implementation, precision }: Place,
  { dir, config, ids, sizes }: Task,
  end: number,
): Promise<Side> {
  const gpu = await openGpu(implementation);
  const side: Side = { figures: {}, missing: {} };
  const measure = async (key: string, figure: () => Promise<number>) => {
    if (secondsSoFar() > end) return note(side, key, "there was no time left", "here");
    try {
      note(side, key, await figure(), "here");
    } catch (error) {
      note(side, key, messageOf(error), "here");
    }
  };
  const { microBatch, sequence, prompt, newTokens, passes } = sizes;
  const model = await loadModel(dir, { gpu, precision });
  await measure("logitsError", async () => {
    const reference = new Float32Array((await Deno.readFile(join(dir, REFERENCE))).buffer);
    return relativeError(await model.logits([ids]), reference);
  });
  const shape = { microBatch, sequence };
  await measure("forward", () => benchmarkForward(gpu, model.parameters, shape, passes));
  for (const texts of TEXTS) {
    const prompts = Array(texts).fill(ids.slice(0, prompt));
    await measure(`writing${texts}`, () => writingSpeed(model, prompts, newTokens));
  }
  model.close();

  const mixed = isMixed(precision, gpu.capabilities);
  const trainingSpeed = async (adaptation?: Adaptation) => {
    const parameters = new Parameters(config, mixed, adaptation);
    try {
      await parameters.load(gpu, randomWeights);
      if (adaptation) await parameters.loadUpdates(gpu, randomWeights);
      return (await benchmarkStep(gpu, parameters, shape, passes)).tokensPerSecond;
    } finally {
      parameters.destroy();
    }
  };
  await measure("lora", () => trainingSpeed(updatesOf(config)));
  await measure("training", () => trainingSpeed());
  gpu.close();
  return side;
}

/** An update of every linear layer, as PEFT's `all-linear`. */
function updatesOf(config: ModelConfig): Adaptation {
  const update = { rank: RANK, scale: ALPHA / RANK };
  const modules = [...linearLayers(config).keys()].map((name) => [name, update] as const);
  return { modules: new Map(modules), dropout: 0 };
}

async function writingSpeed(model: LanguageModel, prompts: number[][], maxTokens: number) {
  const write = (maxTokens: number) =>
    model.generateMany(prompts, { maxTokens, temperature: 0, stopIds: [], batch: prompts.length });
  await write(maxTokens); // kernels are compiled
  const began = performance.now();
  await write(maxTokens);
  return 1000 * prompts.length * maxTokens / (performance.now() - began);
}

function relativeError(ours: Float32Array, theirs: Float32Array): number {
  if (ours.length !== theirs.length) {
    throw new UserError(`${ours.length} logits here, but ${theirs.length} in transformers`);
  }
  let [error, size] = [0, 0];
  for (const [i, value] of theirs.entries()) {
    error += (ours[i] - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(error / size);
}

/** In Markdown, as documentation shows it. */
function tableOf(compared: readonly Compared[]): string {
  const { device, theirs: { versions } } = compared[0];
  const cell = ({ figures }: Side, key: string) => {
    const value = figures[key];
    if (value === undefined) return "–";
    return key === "logitsError" ? value.toExponential(1) : Math.round(value).toLocaleString("en");
  };
  const notes = compared.flatMap(({ name, ours, theirs }) => [
    ...withinBfloat16(name, ours, theirs),
    ...Object.entries(ours.missing).map(([key, why]) => `${name}, ${key}, here: ${why}`),
    ...Object.entries(theirs.missing).map(([key, why]) => `${name}, ${key}, transformers: ${why}`),
  ]);
  const table = markdownTable({
    title: "",
    columns: [
      `on ${device}`,
      "this project",
      versions
        ? `transformers ${versions.transformers}, PyTorch ${versions.torch}`
        : "transformers",
    ],
    rows: compared.flatMap(({ name, ours, theirs }) =>
      ROWS.map(([key, title]) => [`${name}: ${title}`, cell(ours, key), cell(theirs, key)])
    ),
    notes: [],
  });
  return [table, "", ...notes].join("\n");
}

/** Whether the logits are as near to float32's as those of transformers in bfloat16. */
function withinBfloat16(name: string, ours: Side, theirs: Side): string[] {
  const [here, there] = [ours.figures.logitsError, theirs.figures.logitsError];
  if (here === undefined || there === undefined) return [];
  return [
    `${name}: the logits are ${
      here <= there ? "" : "NOT "
    }as near to float32 as transformers' are ` +
    `in bfloat16`,
  ];
}
