import type { Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { timeGpuCopies, timeHostCopies } from "./exchange-benchmark.ts";
import {
  type ExchangeTimes,
  planStep,
  randomMicroBatches,
  type StepShape,
  timeSteps,
} from "./step-benchmark.ts";

/** One GPU beside several, with steps of as many micro-batches a GPU. Times are in seconds. */
export interface AccumulationFigures {
  /** Micro-batches of a step on each GPU. */
  readonly accumulation: number;
  /** Tokens a second of one GPU, and of all together. */
  readonly tokensPerSecond: { readonly one: number; readonly all: number };
  /** Tokens a second of all, over those of one times their number. */
  readonly efficiency: number;
  /** A step of one, and of all. */
  readonly seconds: { readonly one: number; readonly all: number };
  /** For how long a step of all had nothing to compute, as it has measured itself. */
  readonly waited: ExchangeTimes;
}

/** What is measured of several GPUs with micro-batches of one size. Times are in seconds. */
export interface RanksFigures {
  readonly microBatch: number;
  readonly steps: readonly AccumulationFigures[];
  /** The whole exchange, where nothing hides it. */
  readonly exchange: ExchangeTimes;
  /** Its copies between a GPU and its host alone, and how many bytes they copy. */
  readonly gpuCopies: ExchangeTimes & { readonly bytes: number };
  /** Its copies within the host, and its way between hosts, alone. */
  readonly hostCopies: ExchangeTimes;
  /** Memory planned for one GPU, alone and as one of all. */
  readonly gigabytes: { readonly one: number; readonly each: number };
}

/** How often the exchange alone is timed. */
const EXCHANGES = 5;

/**
 * Times whole training steps on the first rank's GPU alone, and then on all; then the parts of what
 * they exchange. All ranks call it.
 *
 * @param parameters loaded
 * @param steps how many to time
 */
export async function benchmarkRanks(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  steps: number,
  { accumulations, exchange, ranks }: {
    accumulations: readonly number[];
    exchange: ExchangeFormat;
    ranks: Communicator;
  },
): Promise<RanksFigures> {
  const microBatches = randomMicroBatches(parameters);
  const alone: number[] = [];
  if (ranks.rank === 0) {
    const step = await planStep(gpu, parameters, shape);
    for (const accumulation of accumulations) {
      const { seconds } = await timeSteps(step, microBatches, shape, steps, accumulation);
      alone.push(seconds);
    }
    step.destroy();
    alone.push(totalBytes(step.memory) / 1e9);
  }
  const [one] = await ranks.allGather(alone);
  const step = await planStep(gpu, parameters, shape, { ranks, exchange });
  const tokens = shape.microBatch * shape.sequence;
  const all: AccumulationFigures[] = [];
  for (const [i, accumulation] of accumulations.entries()) {
    const { seconds, tokensPerSecond, waited } = await timeSteps(
      ...[step, microBatches, shape, steps, accumulation] as const,
      ranks,
    );
    const ofOne = accumulation * tokens / one[i];
    all.push({
      accumulation,
      tokensPerSecond: { one: ofOne, all: tokensPerSecond },
      efficiency: tokensPerSecond / (ofOne * ranks.size),
      seconds: { one: one[i], all: seconds },
      waited,
    });
  }
  const { waited } = await timeSteps(step, microBatches, shape, EXCHANGES, 0, ranks, 0);
  const { gradients, weights } = step.traffic!;
  const figures: RanksFigures = {
    microBatch: shape.microBatch,
    steps: all,
    exchange: waited,
    gpuCopies: {
      gradients: await timeGpuCopies(gpu, gradients),
      weights: await timeGpuCopies(gpu, weights),
      bytes: gradients.out + gradients.in + weights.out + weights.in,
    },
    hostCopies: await timeHostCopies(ranks, { gradients, weights }),
    gigabytes: { one: one.at(-1)!, each: totalBytes(step.memory) / 1e9 },
  };
  await step.release();
  step.destroy();
  return figures;
}

/**
 * The figures as a table in Markdown.
 *
 * @param what the first column's title: what was measured
 */
export function ranksTable(figures: RanksFigures, ranks: number, what: string): string[] {
  const { steps, exchange, gpuCopies, hostCopies, gigabytes } = figures;
  const copies = sumOf(gpuCopies);
  const each = (of: (step: AccumulationFigures) => string) => steps.map(of);
  const longer = ({ seconds: { one, all } }: AccumulationFigures) => all - one;
  const both = ({ gradients, weights }: ExchangeTimes) =>
    steps.map(() => `${inMilliseconds(gradients)} + ${inMilliseconds(weights)}`);
  const rows: [string, string[]][] = [
    [what, each(({ accumulation }) => `accumulation ${accumulation}`)],
    ["tokens a second, one GPU", each(({ tokensPerSecond: { one } }) => grouped(one))],
    [`tokens a second, ${ranks} GPUs`, each(({ tokensPerSecond: { all } }) => grouped(all))],
    ["times one GPU's", each(({ efficiency }) => (efficiency * ranks).toFixed(2))],
    [
      `share of ${ranks} times one GPU's`,
      each(({ efficiency }) => `${(100 * efficiency).toFixed(1)} %`),
    ],
    ["a step of one GPU, ms", each(({ seconds: { one } }) => inMilliseconds(one))],
    [`a step of ${ranks} GPUs, ms`, each(({ seconds: { all } }) => inMilliseconds(all))],
    ["longer by, ms", each((step) => inMilliseconds(longer(step)))],
    [
      `of it the GPU's own copies of ${(gpuCopies.bytes / 1e9).toPrecision(3)} GB, ms`,
      each(() => inMilliseconds(copies)),
    ],
    ["other parts of the exchange, ms", each((step) => inMilliseconds(longer(step) - copies))],
    [
      "hidden of the exchange, ms",
      each((step) => inMilliseconds(sumOf(exchange) - longer(step))),
    ],
    [
      "waited for gradients + weights, ms",
      each(({ waited: { gradients, weights } }) =>
        `${inMilliseconds(gradients)} + ${inMilliseconds(weights)}`
      ),
    ],
    ["the exchange alone, gradients + weights, ms", both(exchange)],
    ["its GPU copies alone, ms", both(gpuCopies)],
    ["its host copies alone, ms", both(hostCopies)],
    ["memory planned, one GPU alone, GB", steps.map(() => gigabytes.one.toPrecision(3))],
    [`memory planned, each of ${ranks}, GB`, steps.map(() => gigabytes.each.toPrecision(3))],
  ];
  const widths = [0, ...steps.map((_, i) => i + 1)].map((column) =>
    Math.max(...rows.map(([name, cells]) => [name, ...cells][column].length))
  );
  const line = ([name, cells]: [string, string[]]) =>
    `| ${
      [name.padEnd(widths[0]), ...cells.map((cell, i) => cell.padStart(widths[i + 1]))].join(" | ")
    } |`;
  const rule = widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  return [line(rows[0]), `| ${rule.join(" | ")} |`, ...rows.slice(1).map(line)];
}

function sumOf({ gradients, weights }: ExchangeTimes): number {
  return gradients + weights;
}

function grouped(number: number): string {
  return Math.round(number).toLocaleString("en");
}

function inMilliseconds(seconds: number): string {
  return (1000 * seconds).toFixed(1);
}
