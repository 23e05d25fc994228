import type { Random } from "../../data/random.ts";
import type { Likeliest } from "../../kernels/decoding/likeliest.ts";

/** How the next token is chosen; the defaults are greedy. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature?: number;
  /** Only the likeliest tokens that together have this probability; 0 for the likeliest alone. */
  topP?: number;
  /** Only this many of the likeliest tokens, and those as likely as the last of them; 0 for all. */
  topK?: number;
  /** Divides positive logits of tokens already there and multiplies negative ones (arXiv 1909.05858). */
  repetitionPenalty?: number;
  /** Ids that are never chosen. */
  suppressIds?: readonly number[];
}

/** The largest relative error of a sum of exponentials in f32. */
const TOTAL_ERROR = 1e-4;

/** Tokens with weights in proportion to their probabilities. */
interface Candidates {
  readonly ids: Uint32Array;
  readonly weights: Float64Array;
}

/**
 * Chooses a token from a whole row of logits: by temperature, top-k and top-p, in Hugging Face's
 * order.
 *
 * @param logits [vocabulary], with penalties applied
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
 * Chooses the token that {@linkcode chooseToken} would, from the likeliest tokens of the row.
 *
 * @returns undefined if these are too few to tell
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
  // The total is rounded: the choice must be the same for every total that it may stand for.
  const least = nucleus(candidates, topP * total * (1 - TOTAL_ERROR));
  const most = nucleus(candidates, topP * total * (1 + TOTAL_ERROR));
  return least && least.ids.length === most?.ids.length ? draw(least, random) : undefined;
}

/** Whether these options draw from all tokens, so that {@linkcode chooseAmong} never can. */
export function needsWholeRow({ temperature = 0, topP = 1, topK = 0 }: SamplingOptions): boolean {
  return temperature > 0 && topP >= 1 && topK === 0;
}

function placeOfHighest(logits: Float32Array): number {
  let place = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[place]) place = i;
  return place;
}

/** Probabilities, divided by that of the likeliest token. */
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

/** The `count` likeliest candidates, and those as likely as the last of them. */
function likeliest(candidates: Candidates, count: number): Candidates {
  const sorted = likeliestFirst(candidates);
  const least = sorted.weights[Math.min(count, sorted.ids.length) - 1];
  const end = sorted.weights.findIndex((weight) => weight < least);
  return end < 0 ? sorted : first(sorted, end);
}

/** The fewest of the likeliest candidates that together have a weight; undefined if all have less. */
function nucleus(candidates: Candidates, weight: number): Candidates | undefined {
  const { ids, weights } = candidates;
  // All that weigh less than this may be left out together: they need not be sorted.
  const spare = (sum(weights) - weight) / ids.length;
  const sorted = likeliestFirst(candidates, spare);
  let reached = 0;
  const last = sorted.weights.findIndex((each) => (reached += each) >= weight);
  return last < 0 ? undefined : first(sorted, last + 1);
}

/** Sorted by weight, equally likely ones by their ids, without those that weigh less than `least`. */
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

/** Draws one of them, in proportion to their weights. */
function draw({ ids, weights }: Candidates, random: Random): number {
  let left = random.uniform() * sum(weights);
  for (let i = 0; i < ids.length; i++) {
    left -= weights[i];
    if (left < 0) return ids[i];
  }
  return ids[Math.max(0, weights.indexOf(1))]; // rounding left something over: the likeliest
}

function sum(weights: Float64Array): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  return total;
}
