import type { Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { totalBytes } from "../../kernels/runtime/memory.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { benchmarkStep, type ExchangeTimes, type StepShape } from "./step-benchmark.ts";

/** One GPU beside several, with steps of as many micro-batches a GPU. */
export interface RanksFigures {
  readonly microBatch: number;
  /** Tokens a second of one GPU, and of all together. */
  readonly tokensPerSecond: { readonly one: number; readonly all: number };
  /** Tokens a second of all, over those of one times their number. */
  readonly efficiency: number;
  /** Seconds of a step of all. */
  readonly seconds: number;
  /** Seconds that the exchange takes where nothing hides it. */
  readonly exchange: ExchangeTimes;
  /** Seconds of it for which a step waits. */
  readonly waited: ExchangeTimes;
  /** Memory of one GPU, alone and as one of all. */
  readonly gigabytes: { readonly one: number; readonly each: number };
}

/**
 * Times whole training steps on the first rank's GPU alone, and then on all. All ranks call it.
 *
 * @param parameters loaded; they are trained
 * @param steps how many to time
 */
export async function benchmarkRanks(
  gpu: Gpu,
  parameters: Parameters,
  shape: StepShape,
  steps: number,
  { accumulation, exchange, ranks }: {
    accumulation: number;
    exchange: ExchangeFormat;
    ranks: Communicator;
  },
): Promise<RanksFigures> {
  const alone = ranks.rank === 0
    ? await benchmarkStep(gpu, parameters, shape, steps, { accumulation })
    : undefined;
  const [[one, gigabytes]] = await ranks.allGather(
    alone ? [alone.tokensPerSecond, totalBytes(alone.memory) / 1e9] : [],
  );
  const share = { accumulation, exchange, ranks };
  const all = await benchmarkStep(gpu, parameters, shape, steps, share);
  return {
    microBatch: shape.microBatch,
    tokensPerSecond: { one, all: all.tokensPerSecond },
    efficiency: all.tokensPerSecond / (one * ranks.size),
    seconds: all.seconds,
    exchange: all.exchange,
    waited: all.waited,
    gigabytes: { one: gigabytes, each: totalBytes(all.memory) / 1e9 },
  };
}

/** The figures as lines for a terminal. */
export function ranksTable(figures: RanksFigures, ranks: number): string[] {
  const { microBatch, tokensPerSecond: { one, all }, efficiency, seconds, gigabytes } = figures;
  const share = (100 * sumOf(figures.waited) / seconds).toFixed(1);
  return [
    `micro-batch ${microBatch}: one GPU ${one.toFixed(0)} tokens/s, ${ranks} GPUs ` +
    `${all.toFixed(0)}: ${(all / one).toFixed(2)} times, ${(100 * efficiency).toFixed(1)} % of ` +
    `${ranks} times; memory of each ${gigabytes.each.toPrecision(3)} GB, of one alone ` +
    `${gigabytes.one.toPrecision(3)} GB`,
    `  of a step of ${inMilliseconds(seconds)}, waited for gradients ` +
    `${inMilliseconds(figures.waited.gradients)}, for weights ` +
    `${inMilliseconds(figures.waited.weights)}: ${share} %`,
    `  the exchange where nothing hides it: gradients ` +
    `${inMilliseconds(figures.exchange.gradients)}, weights ` +
    `${inMilliseconds(figures.exchange.weights)}`,
  ];
}

function sumOf({ gradients, weights }: ExchangeTimes): number {
  return gradients + weights;
}

function inMilliseconds(seconds: number): string {
  return `${(1000 * seconds).toFixed(1)} ms`;
}
