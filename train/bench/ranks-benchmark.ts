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
  type StepTimes,
  timeSteps,
} from "./step-benchmark.ts";
import type { TrainingStep } from "../step/training-step.ts";

/** One GPU beside several, with steps of as many micro-batches a GPU. Times are in seconds. */
export interface AccumulationFigures {
  /** Micro-batches of a step on each GPU. */
  readonly accumulation: number;
  /** Tokens a second of one GPU, and of all together. */
  readonly tokensPerSecond: { readonly one: number; readonly all: number };
  /** Tokens a second of all, over those of one times their number. */
  readonly efficiency: number;
  /** A step of one, the mean of before and after; and of all. */
  readonly seconds: { readonly one: number; readonly all: number };
  /** A step of the first GPU while the others rest, before and after all others: a hot card is slower. */
  readonly alone: { readonly before: number; readonly after: number };
  /** A step of each GPU while all compute, each its own steps, and nothing is exchanged. */
  readonly beside: readonly number[];
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
 * Times whole training steps on the first rank's GPU alone, on each GPU for itself, on all together,
 * and on the first alone again; and the parts of what they exchange. All ranks call it.
 *
 * @param parameters loaded
 * @param steps how many to time of an accumulation
 */
export async function benchmarkRanks(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  steps: (accumulation: number) => number,
  { accumulations, exchange, ranks }: {
    accumulations: readonly number[];
    exchange: ExchangeFormat;
    ranks: Communicator;
  },
): Promise<RanksFigures> {
  const microBatches = randomMicroBatches(parameters);
  /** The GPU is warm after the steps of the first accumulation. */
  const time = async (step: TrainingStep, group?: Communicator): Promise<StepTimes[]> => {
    const times: StepTimes[] = [];
    for (const [i, accumulation] of accumulations.entries()) {
      const how = [shape, steps(accumulation), accumulation, group] as const;
      times.push(await timeSteps(step, microBatches, ...how, i === 0 ? undefined : 0));
    }
    return times;
  };
  /** What a rank has measured is known to all, who wait for it. */
  const shared = (times: readonly StepTimes[]) =>
    ranks.allGather(times.map(({ seconds }) => seconds));
  const isFirst = ranks.rank === 0;

  const single = await planStep(gpu, parameters, shape);
  const [before] = await shared(isFirst ? await time(single) : []);
  const beside = await shared(await time(single));
  single.destroy();

  const step = await planStep(gpu, parameters, shape, { ranks, exchange });
  const together = await time(step, ranks);
  const { waited } = await timeSteps(step, microBatches, shape, EXCHANGES, 0, ranks, 0);
  const { gradients, weights } = step.traffic!;
  const gpuCopies = {
    gradients: await timeGpuCopies(gpu, gradients),
    weights: await timeGpuCopies(gpu, weights),
    bytes: gradients.out + gradients.in + weights.out + weights.in,
  };
  const hostCopies = await timeHostCopies(ranks, { gradients, weights });
  await step.release();
  step.destroy();

  const again = isFirst ? await planStep(gpu, parameters, shape) : undefined;
  const [after] = await shared(again ? await time(again) : []);
  again?.destroy();
  const tokens = shape.microBatch * shape.sequence;
  return {
    microBatch: shape.microBatch,
    steps: accumulations.map((accumulation, i) => {
      const { seconds, tokensPerSecond, waited } = together[i];
      const alone = { before: before[i], after: after[i] };
      const one = (alone.before + alone.after) / 2;
      const ofOne = accumulation * tokens / one;
      return {
        accumulation,
        tokensPerSecond: { one: ofOne, all: tokensPerSecond },
        efficiency: tokensPerSecond / (ofOne * ranks.size),
        seconds: { one, all: seconds },
        alone,
        beside: beside.map((times) => times[i]),
        waited,
      };
    }),
    exchange: waited,
    gpuCopies,
    hostCopies,
    gigabytes: {
      one: totalBytes(single.memory) / 1e9,
      each: totalBytes(step.memory) / 1e9,
    },
  };
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
    [
      "a step of one GPU alone, before and after, ms",
      each(({ alone: { before, after } }) => `${inMilliseconds(before)}, ${inMilliseconds(after)}`),
    ],
    [
      "of each GPU beside the others, without exchange, ms",
      each(({ beside }) => beside.map(inMilliseconds).join(", ")),
    ],
    [`a step of ${ranks} GPUs, ms`, each(({ seconds: { all } }) => inMilliseconds(all))],
    ["longer than one alone by, ms", each((step) => inMilliseconds(longer(step)))],
    [
      "longer than the slowest beside others by, ms",
      each(({ seconds: { all }, beside }) => inMilliseconds(all - Math.max(...beside))),
    ],
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
    ["its copies in the host's memory alone, ms", both(hostCopies)],
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
