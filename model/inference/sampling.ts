import type { Random } from "../../data/random.ts";
import type { Likeliest } from "../../kernels/decoding/likeliest.ts";

/** How the next token is chosen; the defaults are greedy. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature?: number;
  /** Only the likeliest tokens that together have this probability. */
  topP?: number;
  /** Only this many of the likeliest tokens, and those as likely as the last of them; 0 for all. */
  topK?: number;
  /** Divides positive logits of tokens already there and multiplies negative ones (arXiv 1909.05858). */
  repetitionPenalty?: number;
  /** Ids that are never chosen. */
  suppressIds?: readonly number[];
}

/** How far a sum of exponentials in f32 may be off, of itself. */
const TOTAL_ERROR = 1e-4;

/** Tokens, and numbers in proportion to their probabilities. */
interface Candidates {
  readonly ids: Uint32Array;
  readonly weights: Float64Array;
}

/**
 * Chooses a token of a whole row: by temperature, top-k and top-p, in Hugging Face's order.
 *
 * @param logits [vocabulary], penalties applied
 */
export function chooseToken(
  logits: Float32Array,
  random: Random,
  { temperature = 0, topP = 1, topK = 0 }: SamplingOptions,
): number {
  const highest = placeOfHighest(logits);
  if (temperature === 0) return highest;

  const ids = new Uint32Array(logits.length);
  for (let id = 0; id < ids.length; id++) ids[id] = id;
  const weights = weightsOf(logits, logits[highest], temperature);
  return draw(narrowed({ ids, weights }, topK, topP), random);
}

/**
 * Chooses as {@linkcode chooseToken} does, from the likeliest tokens of such a row.
 *
 * @returns undefined if that takes the whole row
 */
export function chooseAmong(
  { ids, logits, total }: Likeliest,
  random: Random,
  { temperature = 0, topP = 1, topK = 0 }: SamplingOptions,
): number | undefined {
  const weights = weightsOf(logits, logits[placeOfHighest(logits)], temperature);
  const candidates = { ids, weights };
  if (topK > 0) {
    return topK > ids.length ? undefined : draw(narrowed(candidates, topK, topP), random);
  }
  // Whatever the total is precisely, the same tokens must have the share.
  const least = nucleus(candidates, topP * total * (1 - TOTAL_ERROR));
  const most = nucleus(candidates, topP * total * (1 + TOTAL_ERROR));
  return least && least.ids.length === most?.ids.length ? draw(least, random) : undefined;
}

/** Whether {@linkcode chooseAmong} can ever choose by these options. */
export function needsWholeRow({ temperature = 0, topP = 1, topK = 0 }: SamplingOptions): boolean {
  return temperature > 0 && topP >= 1 && topK === 0;
}

function placeOfHighest(logits: Float32Array): number {
  let place = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[place]) place = i;
  return place;
}

/** Probabilities over that of the likeliest token. */
function weightsOf(logits: Float32Array, highest: number, temperature: number): Float64Array {
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) {
    weights[i] = Math.exp((logits[i] - highest) / temperature);
  }
  return weights;
}

function narrowed(candidates: Candidates, topK: number, topP: number): Candidates {
  if (topK > 0) candidates = likeliest(candidates, topK);
  if (topP >= 1) return candidates;
  return nucleus(candidates, topP * sum(candidates.weights)) ?? candidates;
}

/** So many of the likeliest candidates, and those as likely as the last of them. */
function likeliest(candidates: Candidates, count: number): Candidates {
  const sorted = likeliestFirst(candidates);
  const least = sorted.weights[Math.min(count, sorted.ids.length) - 1];
  const end = sorted.weights.findIndex((weight) => weight < least);
  return end < 0 ? sorted : first(sorted, end);
}

/** The fewest of the likeliest candidates that together have so much weight, if all of them have. */
function nucleus(candidates: Candidates, weight: number): Candidates | undefined {
  const { ids, weights } = candidates;
  // Those that weigh less than this can be spared together: they need not be sorted.
  const spare = (sum(weights) - weight) / ids.length;
  const sorted = likeliestFirst(candidates, spare);
  let reached = 0;
  const last = sorted.weights.findIndex((each) => (reached += each) >= weight);
  return last < 0 ? undefined : first(sorted, last + 1);
}

/** Equally likely ones by their ids, and none that weigh less than `least`. */
function likeliestFirst({ ids, weights }: Candidates, least = 0): Candidates {
  const places: number[] = [];
  for (let i = 0; i < ids.length; i++) if (!(weights[i] < least)) places.push(i);
  places.sort((a, b) => weights[b] - weights[a] || ids[a] - ids[b]);
  return {
    ids: Uint32Array.from(places, (place) => ids[place]),
    weights: Float64Array.from(places, (place) => weights[place]),
  };
}

function first({ ids, weights }: Candidates, count: number): Candidates {
  return { ids: ids.subarray(0, count), weights: weights.subarray(0, count) };
}

/** One of them, as likely as it weighs. */
function draw({ ids, weights }: Candidates, random: Random): number {
  let left = random.uniform() * sum(weights);
  for (let i = 0; i < ids.length; i++) {
    left -= weights[i];
    if (left < 0) return ids[i];
  }
  return ids[Math.max(0, weights.indexOf(1))]; // what rounding leaves over is the likeliest's
}

function sum(weights: Float64Array): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  return total;
}
