/**
 * `deno task bench:peers`: models of other families with random weights beside transformers on the
 * same GPU: logits, and the speed of the forward pass, training, LoRA and writing.
 */
import { join } from "node:path";
import { parseArgs } from "@std/cli/parse-args";
import { Random } from "../../data/random.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { type Adaptation, linearLayers } from "../../model/network/adaptation.ts";
import { type ModelConfig, parseConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { isMixed, type Precision } from "../../model/network/precision.ts";
import { randomWeights } from "../../train/bench/benchmark-model.ts";
import { benchmarkForward } from "../../train/bench/forward-benchmark.ts";
import { benchmarkStep } from "../../train/bench/step-benchmark.ts";

const HELP = `Compares models of other families with transformers on this machine's GPU.

Two models with random weights, of the sizes of TinyLlama 1.1B and Qwen2 0.5B, are written as
checkpoints in bfloat16. Logits of both programs are compared with transformers' in float32; speeds
stand side by side: forward pass, training, LoRA and writing. Python needs PyTorch and transformers.

Usage:
  deno task bench:peers [options]

Example:
  deno task bench:peers --python=/opt/venv/bin/python3

Options, with defaults in brackets:
  --python PATH            Python with PyTorch and transformers [python3]
  --json                   print one JSON object instead of tables
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
const RANK = 8;

/** Figures of one side: tokens a second, and the relative error of the logits. */
type Figures = Record<string, number>;

/** What is shown, in this order. */
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

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["python", "gpu", "precision"],
    boolean: ["json", "help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const { gpu: implementation, precision } = deviceOptions(flags);
  await installMissingDriver();
  const work = await Deno.makeTempDir({ prefix: "transformers-" });
  try {
    for (const [name, json] of Object.entries(MODELS)) {
      const gpu = await openGpu(implementation);
      const { cpu, name: device } = gpu.capabilities;
      const config = parseConfig(cpu ? { ...json, ...SMALL } : json, name);
      const sizes = SIZES[cpu ? "cpu" : "gpu"];
      const dir = join(work, name.replaceAll(" ", "-"));
      await writeRandom(dir, config);
      const random = new Random(5);
      const ids = Array.from({ length: sizes.compared }, () => random.below(config.vocabSize));
      const asked = { ...sizes, ids, texts: TEXTS, rank: RANK, alpha: 2 * RANK };
      await Deno.writeTextFile(join(work, "inputs.json"), JSON.stringify(asked));
      gpu.close(); // so that Python has all of its memory
      const theirs = await transformersFigures(flags.python ?? "python3", dir, work);
      const opened = await openGpu(implementation);
      const ours = await ourFigures(opened, config, dir, work, ids, sizes, precision);
      opened.close();
      if (flags.json) {
        console.log(JSON.stringify({ name, device, ours, transformers: theirs }));
        continue;
      }
      console.log(
        `\n${name}, on ${device}; PyTorch ${theirs.torch}, transformers ` + theirs.transformers,
      );
      console.log(`${"".padEnd(42)}${"ours".padStart(12)}${"transformers".padStart(14)}`);
      for (const [key, title] of ROWS) {
        const shown = (value: unknown) =>
          key === "logitsError" ? Number(value).toExponential(2) : Number(value).toFixed(0);
        console.log(
          title.padEnd(42) + shown(ours[key]).padStart(12) + shown(theirs[key]).padStart(14),
        );
      }
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});

/** Writes a checkpoint with random weights in bfloat16. */
async function writeRandom(dir: string, config: ModelConfig): Promise<void> {
  const parameters = new Map(parameterShapes(config).map((each) => [each.name, each]));
  await writeCheckpoint(dir, {
    config,
    dtype: "BF16",
    tensors: (name) => randomWeights(parameters.get(name)!),
  });
}

async function transformersFigures(
  python: string,
  dir: string,
  work: string,
): Promise<Record<string, unknown>> {
  const program = decodeURIComponent(new URL("transformers_side.py", import.meta.url).pathname);
  const command = new Deno.Command(python, { args: [program, dir, work], stderr: "inherit" });
  const { success, stdout } = await command.output().catch((error) => {
    throw new UserError(`--python=${python}: it cannot be started: ${error.message}`);
  });
  if (!success) throw new UserError(`--python=${python}: ${program} has failed; see above`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

async function ourFigures(
  gpu: Gpu,
  config: ModelConfig,
  dir: string,
  work: string,
  ids: number[],
  { microBatch, sequence, prompt, newTokens, passes }: typeof SIZES.gpu,
  precision: Precision,
): Promise<Figures> {
  const figures: Figures = {};
  const model = await loadModel(dir, { gpu, precision });
  const reference = new Float32Array((await Deno.readFile(join(work, "reference.f32"))).buffer);
  figures.logitsError = relativeError(await model.logits([ids]), reference);
  for (const texts of TEXTS) {
    const prompts = Array(texts).fill(ids.slice(0, prompt));
    const write = () =>
      model.generateMany(prompts, { maxTokens: newTokens, temperature: 0, stopIds: [] });
    await write();
    const began = performance.now();
    await write();
    figures[`writing${texts}`] = 1000 * texts * newTokens / (performance.now() - began);
  }
  const shape = { microBatch, sequence };
  figures.forward = await benchmarkForward(gpu, model.parameters, shape, passes);
  model.close();

  const mixed = isMixed(precision, gpu.capabilities);
  const modules = [...linearLayers(config).keys()];
  const update = { rank: RANK, scale: 2 };
  const adaptation = { modules: new Map(modules.map((name) => [name, update])), dropout: 0 };
  const speed = async (adaptation?: Adaptation) => {
    const parameters = new Parameters(config, mixed, adaptation);
    await parameters.load(gpu, randomWeights);
    if (adaptation) await parameters.loadUpdates(gpu, randomWeights);
    const { tokensPerSecond } = await benchmarkStep(gpu, parameters, shape, passes);
    parameters.destroy();
    return tokensPerSecond;
  };
  figures.lora = await speed(adaptation);
  figures.training = await speed();
  return figures;
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
