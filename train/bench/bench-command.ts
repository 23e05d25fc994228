/** `deno task bench`: how fast kernels, training steps and forward passes are on this machine. */
import { parseArgs } from "@std/cli/parse-args";
import { benchmarkKernels, benchmarkLimits, type KernelRate } from "../../kernels/benchmark.ts";
import type { HeadGradient } from "../../kernels/loss/head.ts";
import { next } from "../../kernels/host/next-command.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { requireSame } from "../../kernels/ranks/agree.ts";
import type { Communicator } from "../../kernels/ranks/communicator.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { runOnGpus } from "../../model/command-line/run-on-gpus.ts";
import { programVersion } from "../../model/host/program-version.ts";
import { atLeastOne, count } from "../../model/number-range.ts";
import { isMixed } from "../../model/network/precision.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { kernelShapes, randomWeights } from "./benchmark-model.ts";
import { newAdapter } from "../lora.ts";
import { flopsPerToken } from "../step/flops.ts";
import { benchmarkForward } from "./forward-benchmark.ts";
import { profileTable, withLimits } from "./profile-table.ts";
import { benchmarkRanks, ranksTable } from "./ranks-benchmark.ts";
import { benchmarkStep, profileStep, type StepWork } from "./step-benchmark.ts";
import { randomWorkload, trainedWorkload } from "./workload.ts";

const HELP =
  `Measures how fast this machine is: single kernels, whole training steps and the forward pass.
On a GPU it takes the 1.1 B model of Steel-LLM, on a software driver a small one, with random
weights and tokens; or a checkpoint and real text, which matter where steps leave out what is nearly
zero.

Usage:
  deno task bench [options]

Examples:
  deno task bench
  deno task bench --micro-batches=1,8 --precision=mixed --json
  deno task bench --gpus=2 --exchange=bf16 --micro-batches=8 --accumulation=8,2
  deno task bench --model=runs/steel-1b --data=shards --head-gradient=filtered

Options, with defaults in brackets:
  --micro-batches N,N,...  sizes of a micro-batch to measure, in sequences
                           [1,2,4,8; on a software driver 2]
  --steps N                training steps to time for each size [8; with several GPUs 6, or 3 of
                           more than 4 micro-batches; on a software driver 2]
  --lora-rank N            rank of the adapter whose training is timed beside that of all weights;
                           0 leaves it out [16]
  --accumulation N,N,...   micro-batches of a step, on each GPU; one number with one GPU
                           [2; with several GPUs 8,2]
  --gpus N                 measure whole steps on one GPU, and on N of this machine's, or all [1]
  --exchange NAME          how several GPUs exchange gradients and weights: f32, bf16 or int8
                           [f32]
  --model DIR              with one GPU, measure steps with the weights of this checkpoint, or of a
                           run's newest one; needs --data
  --data DIR               folder of shards whose blocks these steps read; needs --model
  --head-gradient NAME     with one GPU, what the last layer passes back: whole or filtered, as
                           train.headGradient of deno task pretrain [whole]
  --json                   print one JSON object instead of tables
  --help                   show this text

${DEVICE_HELP}`;

/** All linear layers have an update, as in `sft.yaml`. */
const LORA = { alpha: 0, dropout: 0, targets: ["all-linear"] };

await runOnGpus(async (commandRanks) => {
  const flags = parseArgs(commandArguments(), {
    string: [
      ...["gpu", "gpus", "precision", "micro-batches", "steps", "lora-rank"],
      ...["accumulation", "exchange", "model", "data", "head-gradient"],
    ],
    boolean: ["json", "help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const device = deviceOptions(flags);
  const asked = {
    microBatches: numbersOf("micro-batches", flags["micro-batches"]),
    steps: numberFlag("steps", flags.steps, atLeastOne),
    accumulations: numbersOf("accumulation", flags.accumulation),
    exchange: exchangeOf(flags.exchange),
    loraRank: numberFlag("lora-rank", flags["lora-rank"], count) ?? 16,
  };
  const headGradient = headGradientOf(flags["head-gradient"]);
  const trained = trainedModelOf(flags);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const ranks = await commandRanks.start(flags.gpus);
  const gpu = await openGpu(device.gpu, { hostWrites: ranks.size > 1 });
  const { cpu, name, implementation } = gpu.capabilities;
  const mixed = isMixed(device.precision, gpu.capabilities);
  using workload = trained
    ? await trainedWorkload(trained.model, trained.data, cpu)
    : await randomWorkload(cpu);
  const { config, sequence, weights, origin } = workload;
  const microBatches = asked.microBatches ?? (cpu ? [2] : [1, 2, 4, 8]);
  const { steps = cpu ? 2 : 8, accumulations: [accumulation, ...more] = [2] } = asked;
  const say = (line: string) => flags.json || console.log(line);
  if (ranks.size > 1) {
    if (trained || flags["head-gradient"] !== undefined) {
      throw new UserError("--model, --data and --head-gradient are measured with one GPU");
    }
    const parameters = new Parameters(config, mixed);
    const figures = await timeRanks(parameters, { ...asked, gpu, sequence, ranks, say });
    if (flags.json) console.log(JSON.stringify({ name, implementation, mixed, ...figures }));
    gpu.close();
    return;
  }
  if (more.length > 0) {
    throw new UserError(`--accumulation=${flags.accumulation}: with one GPU, give one number`);
  }

  say(`${name}, ${implementation}, ${mixed ? "mixed" : "f32"}\n`);
  const limits = await benchmarkLimits(gpu, mixed);
  const { copy, multiply } = limits;
  say(rateLine(copy));
  say(rateLine(multiply));
  const shapes = kernelShapes(config, { microBatch: Math.max(...microBatches), sequence });
  const kernels = await benchmarkKernels(gpu, shapes, mixed);
  for (const kernel of kernels) {
    say(`${rateLine(kernel)}, ${(100 * kernel.rate / multiply.rate).toFixed(0)} % of multiply`);
  }
  const best = Math.max(...kernels.map(({ rate }) => rate));
  const parameters = new Parameters(config, mixed);
  await parameters.load(gpu, weights);
  say(
    `\nwhole steps, ${accumulation} micro-batches of sequences of ${sequence}, clipping and AdamW ` +
      `included; ${origin}; head's gradient ${headGradient}`,
  );
  const work = { microBatches: workload.microBatches, headGradient };
  const measured = { gpu, sequence, microBatches, steps, accumulation, best, work, say };
  const rows = await timeSizes(parameters, measured);
  const most = Math.max(...microBatches);
  const largest = { microBatch: most, sequence };
  const times = await profileStep(gpu, parameters, largest, work);
  const profile = {
    microBatch: withLimits(times.microBatch, limits),
    update: withLimits(times.update, limits),
  };
  say("");
  profileTable(`a micro-batch of ${most}, kernel by kernel`, profile.microBatch).forEach(say);
  profileTable("clipping and AdamW", profile.update).forEach(say);
  const forwardTokensPerSecond = await benchmarkForward(gpu, parameters, largest, steps);
  say(`\nforward pass alone, below the head: ${forwardTokensPerSecond.toFixed(0)} tokens/s`);
  parameters.destroy();
  const lora = newAdapter(config, { ...LORA, rank: asked.loraRank }, "");
  let loraRows: StepRow[] = [];
  if (lora) {
    const adapted = new Parameters(config, mixed, lora.adaptation);
    await adapted.load(gpu, weights);
    await adapted.loadUpdates(gpu, randomWeights);
    say(`\nthe same steps with an adapter of rank ${asked.loraRank} (LoRA): ${adapted.summary}`);
    loraRows = await timeSizes(adapted, measured);
  }
  say(`\n${next("profile", `--micro-batch=${most}`)}`);
  if (flags.json) {
    const figures = {
      name,
      implementation,
      mixed,
      origin,
      headGradient,
      limits,
      kernels,
      steps: rows,
      loraSteps: loraRows,
      profile,
    };
    console.log(JSON.stringify({ ...figures, forwardTokensPerSecond }));
  }
  gpu.close();
});

function rateLine({ name, shape, milliseconds, rate, unit }: KernelRate): string {
  const figure = rate < 1 && unit === "TFLOP/s"
    ? `${(1000 * rate).toFixed(1).padStart(8)} GFLOP/s`
    : `${rate.toFixed(1).padStart(8)} ${unit}`;
  return `${name.padEnd(19)} ${shape.padEnd(28)} ${
    milliseconds.toFixed(3).padStart(9)
  } ms ${figure}`;
}

/** What is timed, and where it is said. */
interface Measured {
  readonly gpu: Gpu;
  readonly sequence: number;
  readonly microBatches: readonly number[];
  readonly steps: number;
  readonly accumulation: number;
  /** Of the fastest product, in TFLOP/s. */
  readonly best: number;
  readonly work: StepWork;
  readonly say: (line: string) => void;
}

/** The speed of whole steps with micro-batches of one size, and their memory. */
interface StepRow {
  readonly microBatch: number;
  readonly tokensPerSecond: number;
  readonly teraflops: number;
  readonly shareOfBestProduct: number;
  readonly gigabytes: number;
}

async function timeSizes(
  parameters: Parameters,
  { gpu, sequence, microBatches, steps, accumulation, best, work, say }: Measured,
): Promise<StepRow[]> {
  const flops = flopsPerToken(parameters.config, sequence, parameters.adaptation !== undefined);
  const rows: StepRow[] = [];
  for (const microBatch of microBatches) {
    const shape = { microBatch, sequence };
    const { tokensPerSecond, memory } = await benchmarkStep(
      ...[gpu, parameters, shape, steps, accumulation, work] as const,
    );
    const teraflops = tokensPerSecond * flops / 1e12;
    const shareOfBestProduct = teraflops / best;
    const gigabytes = totalBytes(memory) / 1e9;
    rows.push({ microBatch, tokensPerSecond, teraflops, shareOfBestProduct, gigabytes });
    say(
      `micro-batch ${microBatch}: ${tokensPerSecond.toFixed(0)} tokens/s, ` +
        `${teraflops.toPrecision(3)} TFLOP/s, ${(100 * shareOfBestProduct).toFixed(0)} % of the ` +
        `fastest product above, ${gigabytes.toPrecision(3)} GB`,
    );
  }
  return rows;
}

function numbersOf(name: string, flag: string | undefined): number[] | undefined {
  return flag?.split(",").map((each) => numberFlag(name, each, atLeastOne)!);
}

function exchangeOf(format: string | undefined): ExchangeFormat | undefined {
  if (format === undefined || format === "f32" || format === "bf16" || format === "int8") {
    return format;
  }
  throw new UserError(`--exchange=${format}: expected f32, bf16 or int8`);
}

function headGradientOf(name: string = "whole"): HeadGradient {
  if (name === "whole" || name === "filtered") return name;
  throw new UserError(`--head-gradient=${name}: expected whole or filtered`);
}

/** The folders of the checkpoint and of the text to measure with, if they are given. */
function trainedModelOf({ model, data }: { model?: string; data?: string }) {
  if (model !== undefined && data !== undefined) return { model, data };
  if (model === undefined && data === undefined) return;
  throw new UserError(
    `--${model === undefined ? "data" : "model"} alone: a checkpoint is measured on real text. ` +
      `Give --model and --data, or neither for random weights and tokens`,
  );
}

/** What several GPUs are timed with. */
interface RanksMeasured {
  readonly gpu: Gpu;
  readonly sequence: number;
  readonly ranks: Communicator;
  readonly microBatches?: readonly number[];
  readonly steps?: number;
  readonly accumulations?: readonly number[];
  readonly exchange?: ExchangeFormat;
  readonly say: (line: string) => void;
}

/** Whole steps of one GPU, and of all. */
async function timeRanks(parameters: Parameters, measured: RanksMeasured) {
  const { gpu, sequence, ranks, exchange = "f32", say } = measured;
  const { cpu, name, implementation } = gpu.capabilities;
  const { microBatches = [cpu ? 2 : 8], steps } = measured;
  const stepsOf = (accumulation: number) => steps ?? (cpu ? 2 : accumulation > 4 ? 3 : 6);
  const { accumulations = cpu ? [2, 1] : [8, 2] } = measured;
  const facts = { program: await programVersion(), precision: parameters.mixed ? "mixed" : "f32" };
  await requireSame(
    ranks,
    {
      ...facts,
      microBatches: microBatches.join(),
      steps: accumulations.map(stepsOf).join(),
      accumulations: accumulations.join(),
      exchange,
    },
    { GPU: `${name}, ${implementation}` },
    console.error,
  );
  say(`${ranks.size} ranks, each on ${name}, ${implementation}, ${facts.precision}`);
  say(
    `whole steps, accumulation ${accumulations.join(", then ")} on each GPU, sequences of ` +
      `${sequence}, exchange in ${exchange}, clipping and AdamW included`,
  );
  await parameters.load(gpu, randomWeights);
  const rows = [];
  for (const microBatch of microBatches) {
    const shape = { microBatch, sequence };
    const share = { accumulations, exchange, ranks };
    const row = await benchmarkRanks(gpu, parameters, shape, stepsOf, share);
    rows.push(row);
    say("");
    const what = `micro-batches of ${microBatch} x ${sequence}, exchange in ${exchange}`;
    ranksTable(row, ranks.size, what).forEach(say);
  }
  say(`\n${next("pretrain", `--gpus=${ranks.size}`)}`);
  return { ranks: ranks.size, exchange, microBatches: rows };
}
