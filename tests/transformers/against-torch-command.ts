/**
 * `deno task bench:torch`: a run of pretraining here and in PyTorch, from the same weights on the same
 * blocks of text: their losses drawn together, and the speed of both.
 */
import { join } from "node:path";
import { makeFolder } from "../../data/files/make-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { type Curve, lineChart } from "../../data/page/charts.ts";
import { chartFile } from "../../data/page/draw.ts";
import { markdownTable } from "../../data/page/table.ts";
import { ProgressDisplay } from "../../data/progress/progress-display.ts";
import { formatJson } from "../../data/text/json.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { formatBytes, totalBytes } from "../../kernels/runtime/memory.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { takeArgument } from "../../model/command-line/take-argument.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { isMixed } from "../../model/network/precision.ts";
import { count } from "../../model/number-range.ts";
import { corpusText } from "../../train/batches/corpus-text.ts";
import type { PretrainingText } from "../../train/batches/pretraining-text.ts";
import { namesShards, shardText } from "../../train/batches/shard-text.ts";
import {
  checkModel,
  newNetwork,
  type PretrainingStage,
  pretrainingStage,
} from "../../train/pretraining-stage.ts";
import { train } from "../../train/run/loop.ts";
import {
  loadPretrainSettings,
  type PretrainSettings,
} from "../../train/settings/pretrain-settings.ts";
import { learningRate } from "../../train/step/schedule.ts";
import { TrainingStep } from "../../train/step/training-step.ts";
import { runPython } from "./run-python.ts";

const HELP =
  `Pretrains a Steel-LLM here and in PyTorch, from the same weights on the same blocks of text, draws
both losses together, says how much they differ and how fast each is. Python needs PyTorch,
transformers and safetensors. The settings are those of deno task pretrain.

Usage:
  deno task bench:torch [options] [--SECTION.KEY=VALUE ...] [--config FILE.yaml ...]

Examples:
  deno task bench:torch --python=/opt/venv/bin/python3 --train.steps=50
  deno task bench:torch --config train/steel-1b.yaml --data.source=shards --train.steps=100 \\
    --train.accumulation=2 --train.warmupSteps=20 --compiled-steps=10

Options, with defaults in brackets:
  --python PATH            Python with PyTorch [python3]
  --compiled-steps N       steps that are timed with torch.compile besides [0]
  --seconds N              longest time for PyTorch [600]
  --output DIR             folder for losses.svg and figures.json [runs/against-torch]
  --help                   show this text`;

/** The folder of the weights that both start from. */
const CHECKPOINT = "checkpoint";

/** Steps that speeds leave out: kernels are compiled, and a GPU's clock rises. */
const WARM_UP = 5;

/** A step of either program. */
interface Step {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
}

/** A run of one program. */
interface Run {
  readonly name: string;
  readonly steps: Step[];
  /** Sequences of a micro-batch. */
  microBatch: number;
  /** Memory of the GPU at its peak, if it is known. */
  bytes?: number;
  /** Steps without an update, as a gradient overflowed in f16. */
  skipped?: number;
}

await runCommand(async () => {
  const { own, settings: args } = takeOwn(commandArguments());
  if (args.includes("--help")) return console.log(HELP);
  const { python = "python3", output = "runs/against-torch" } = own;
  const compiledSteps = numberFlag("compiled-steps", own["compiled-steps"], count) ?? 0;
  const seconds = numberFlag("seconds", own.seconds, count) ?? 600;
  const settings = await loadPretrainSettings(args);
  checkModel(settings);
  requireInTorch(settings);
  await installMissingDriver();
  const work = await Deno.makeTempDir({ prefix: "against-torch-" });
  try {
    using text = await prepare(settings, work, compiledSteps);
    const tokens = settings.train.accumulation * settings.train.microBatch * settings.data.sequence;
    // PyTorch comes first, while it has all memory of the GPU.
    const theirs = await runTorch(python, settings, work, { seconds, tokens });
    const { ours, device, parameters } = await runOurs(settings, work, text);
    const compared = compare(ours, theirs[0]);
    await makeFolder(output);
    const title = "The same weights and text in both programs";
    const curves = [curveOf("PyTorch", theirs[0]), curveOf("this project", ours, "thin")];
    const picture = chartFile(lineChart({ title, unit: "nats a token", curves }));
    await WholeFile.write(join(output, "losses.svg"), picture);
    const runs = [ours, ...theirs].map((run) => ({ ...run, tokensPerSecond: speed(run) }));
    const figures = { device, parameters, tokensOfStep: tokens, ...compared, runs };
    await WholeFile.write(join(output, "figures.json"), formatJson(figures));
    const table = markdownTable({
      title: "",
      columns: ["", "micro-batch", "tokens/s", "memory"],
      rows: runs.map(({ name, microBatch, tokensPerSecond, bytes }) => [
        ...[name, String(microBatch), Math.round(tokensPerSecond).toLocaleString("en")],
        bytes === undefined ? "" : formatBytes(bytes),
      ]),
      notes: [],
    });
    console.log(
      `\n${parameters.toLocaleString("en")} parameters on ${device}, steps of ` +
        `${
          tokens.toLocaleString("en")
        } tokens in sequences of ${settings.data.sequence}, clipping ` +
        `and AdamW included:\n\n${table}\n\n${inWords(compared)}`,
    );
    if (ours.skipped) {
      console.log(`Gradients overflowed here in steps without an update: ${ours.skipped}.`);
    }
    console.log(`In ${output}: losses.svg, figures.json`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});

/** The options of this command, and the settings behind them. */
function takeOwn(given: string[]) {
  const own: Record<string, string | undefined> = {};
  let settings = given;
  for (const name of ["python", "compiled-steps", "seconds", "output"]) {
    ({ args: settings, value: own[name] } = takeArgument(settings, `--${name}`));
  }
  return { own, settings };
}

/** @throws UserError for what the program in PyTorch does not have */
function requireInTorch({ model }: PretrainSettings): void {
  if (model.path !== undefined) {
    throw new UserError("model.path: this comparison starts from random weights: leave it out");
  }
  if (model.FFN_type === "softmoe_v3" || model.FFN_type === "raw") return;
  throw new UserError(
    `model.FFN_type is ${model.FFN_type}; the program in PyTorch has softmoe_v3 and raw`,
  );
}

/**
 * Leaves in the folder `work` what both programs start from: weights, the blocks of all steps, and what
 * else the run is.
 *
 * @returns the text, whose blocks are those
 */
async function prepare(
  settings: PretrainSettings,
  work: string,
  compiledSteps: number,
): Promise<PretrainingText> {
  const { data, model, train: training } = settings;
  const open = await namesShards(data.source) ? shardText : corpusText;
  const text = await open(settings, undefined, undefined, console.error);
  const blocks = takeBlocks(text, training.steps * training.accumulation * training.microBatch);
  await Deno.writeFile(join(work, "blocks.i32"), new Uint8Array(blocks.tokens.buffer));
  const learningRates = Array.from({ length: training.steps }, (_, i) => learningRate(i, training));
  const { sequence } = data;
  const run = { ...training, sequence, padding: text.padding ?? -1, compiledSteps, learningRates };
  await Deno.writeTextFile(join(work, "run.json"), JSON.stringify(run));
  console.error("Drawing the weights");
  const config = newNetwork(model, text);
  const places = new Map(
    parameterShapes(config).map((each, index) => [each.name, { each, index }]),
  );
  await writeCheckpoint(join(work, CHECKPOINT), {
    ...{ config, dtype: "F32" },
    tensors(name) {
      const { each, index } = places.get(name)!;
      return initialValues(each, training.seed, index);
    },
  });
  return { ...text, blocks: blocks.source, [Symbol.dispose]: () => text[Symbol.dispose]() };
}

/** Trains here from what `prepare` has left. */
async function runOurs(given: PretrainSettings, work: string, text: PretrainingText) {
  const gpu = await openGpu(given.train.gpu);
  const { name: device, implementation } = gpu.capabilities;
  const precision = isMixed(given.train.precision, gpu.capabilities) ? "mixed" : "f32";
  const settings: PretrainSettings = { ...given, train: { ...given.train, precision } };
  const checkpoint = await openCheckpoint(join(work, CHECKPOINT));
  const stage = pretrainingStage(gpu, settings, text, checkpoint);
  const { parameters, training, room } = stage;
  const options = { ...training, ...room, objective: stage.objective() };
  const step = await TrainingStep.plan(gpu, parameters, options);
  await parameters.load(gpu, stage.initialWeights!);
  checkpoint.close();
  const runtime = implementation === "dawn" ? "Dawn" : "Deno's own WebGPU";
  const ours: Run = {
    name: `this project, ${runtime}, ${precision}`,
    ...await trainOurs(stage, step),
    microBatch: settings.train.microBatch,
    bytes: totalBytes(step.memory),
  };
  step.destroy();
  gpu.close();
  return { ours, device, parameters: parameters.count };
}

/** The next blocks of a text, one behind the other, and as a source that ends with them. */
function takeBlocks({ blocks }: PretrainingText, number: number) {
  const { blockLength } = blocks;
  const tokens = new Int32Array(number * blockLength);
  for (let i = 0; i < number; i++) tokens.set(blocks.next(), i * blockLength);
  let index = 0;
  const source = {
    blockLength,
    next: () => tokens.subarray(index * blockLength, ++index * blockLength),
    position: () => ({ epoch: 0, index }),
    seek: () => {},
  };
  return { tokens, source };
}

/** Trains by the loop of every run, but for its folder: nothing is validated or saved. */
async function trainOurs(
  stage: PretrainingStage,
  step: TrainingStep,
): Promise<Pick<Run, "steps" | "skipped">> {
  using display = new ProgressDisplay("stderr");
  const steps: Step[] = [];
  let skipped = 0;
  const start = { step: 0, tokens: 0, skipped: 0, position: stage.source.position() };
  const keeper = { keep: () => {}, save: () => Promise.resolve({ written: Promise.resolve("") }) };
  await train({ ...stage, step }, start, keeper, {
    onMessage: (text) => display.line(text),
    onStep({ loss, gradientNorm, tokensPerSecond, steps: total, skipped: soFar }) {
      skipped = soFar;
      steps.push({ loss, gradientNorm, tokensPerSecond });
      display.show({ task: "here", done: steps.length, total, status: `loss ${loss.toFixed(3)}` });
    },
  });
  return { steps, skipped };
}

/** Trains in PyTorch what `runOurs` has left in `work`: eager, and if asked then with torch.compile. */
async function runTorch(
  python: string,
  { train: { steps: total, microBatch } }: PretrainSettings,
  work: string,
  { seconds, tokens }: { seconds: number; tokens: number },
): Promise<Run[]> {
  using display = new ProgressDisplay("stderr");
  const runs: Run[] = [];
  try {
    for await (const line of runPython(python, "steel_torch.py", [work], seconds)) {
      if (typeof line.run === "string") runs.push({ name: line.run, steps: [], microBatch });
      const { steps } = runs.at(-1)!;
      if (typeof line.seconds === "number") {
        const { loss, gradientNorm, seconds } = line as Record<string, number>;
        steps.push({ loss, gradientNorm, tokensPerSecond: tokens / seconds });
        const status = `loss ${loss.toFixed(3)}`;
        display.show({ task: runs.at(-1)!.name, done: steps.length, total, status });
      }
      if (typeof line.bytes === "number") Object.assign(runs.at(-1)!, line);
    }
  } catch (error) {
    if (!(error instanceof UserError) || (runs[0]?.steps.length ?? 0) < total) throw error;
    display.line(`${runs.at(-1)!.name}: ${error.message}`);
  }
  return runs.filter(({ steps }) => steps.length > 0);
}

/** How far the losses and the norms of the gradients are apart. */
function compare(ours: Run, theirs: Run) {
  const differences = ours.steps.map(({ loss }, i) => Math.abs(loss - theirs.steps[i].loss));
  const norms = ours.steps.map(({ gradientNorm }, i) =>
    Math.abs(gradientNorm / theirs.steps[i].gradientNorm - 1)
  );
  const largest = Math.max(...differences);
  return {
    largest,
    atStep: differences.indexOf(largest) + 1,
    mean: differences.reduce((sum, difference) => sum + difference) / differences.length,
    gradientNorm: median(norms),
    last: { ours: ours.steps.at(-1)!.loss, theirs: theirs.steps.at(-1)!.loss },
  };
}

function inWords(
  { largest, atStep, mean, gradientNorm, last }: ReturnType<typeof compare>,
): string {
  return `The losses differ by ${largest.toPrecision(2)} at most (step ${atStep}) and ` +
    `${mean.toPrecision(2)} on average; the last are ${last.ours.toFixed(4)} here and ` +
    `${last.theirs.toFixed(4)} in PyTorch. Gradient norms differ by ` +
    `${(100 * gradientNorm).toPrecision(2)} % in the median.`;
}

/** Tokens a second of the median step. */
function speed({ steps }: Run): number {
  const warmUp = Math.min(WARM_UP, steps.length >> 1);
  return median(steps.slice(warmUp).map(({ tokensPerSecond }) => tokensPerSecond));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function curveOf(name: string, { steps }: Run, look?: Curve["look"]): Curve {
  return { name, look, points: steps.map(({ loss }, i) => [i + 1, loss]) };
}
