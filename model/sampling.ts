import type { Random } from "../data/random.ts";

/** How the next token is chosen; the defaults are greedy. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature?: number;
  /** Only the likeliest tokens that together have this probability. */
  topP?: number;
  /** Only this many of the likeliest tokens; 0 for all. */
  topK?: number;
  /** Divides positive logits of tokens already there and multiplies negative ones (arXiv 1909.05858). */
  repetitionPenalty?: number;
  /** Ids that are never chosen. */
  suppressIds?: readonly number[];
}

/**
 * Chooses a token, in the order of Hugging Face's processors: repetition penalty, suppressed
 * tokens, temperature, top-k, top-p.
 *
 * @param logits [vocabulary], overwritten
 * @param history ids of the prompt and of what was generated
 */
export function chooseToken(
  logits: Float32Array,
  history: Iterable<number>,
  random: Random,
  options: SamplingOptions,
): number {
  const { temperature = 0, topP = 1, topK = 0, repetitionPenalty = 1, suppressIds = [] } = options;
  if (repetitionPenalty !== 1) {
    for (const id of new Set(history)) {
      logits[id] *= logits[id] > 0 ? 1 / repetitionPenalty : repetitionPenalty;
    }
  }
  for (const id of suppressIds) logits[id] = -Infinity;
  let highest = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[highest]) highest = id;
  if (temperature === 0) return highest;

  const weights = Float64Array.from(
    logits,
    (logit) => Math.exp((logit - logits[highest]) / temperature),
  );
  let candidates = Uint32Array.from(weights, (_, id) => id);
  if (topK > 0) candidates = likeliestFirst(candidates, weights).subarray(0, topK);
  if (topP < 1) candidates = nucleus(candidates, weights, topP);
  let left = random.uniform() * sum(candidates, weights);
  for (const id of candidates) {
    left -= weights[id];
    if (left < 0) return id;
  }
  return highest;
}

/** The fewest of the likeliest candidates that together have `share` of all their weight. */
function nucleus(candidates: Uint32Array<ArrayBuffer>, weights: Float64Array, share: number) {
  const total = sum(candidates, weights);
  // Those that weigh less than this lack `share` even without them: they need not be sorted.
  const least = (1 - share) * total / candidates.length;
  const sorted = likeliestFirst(candidates.filter((id) => weights[id] >= least), weights);
  let reached = 0;
  const last = sorted.findIndex((id) => (reached += weights[id]) >= share * total);
  return last < 0 ? sorted : sorted.subarray(0, last + 1);
}

/** Equally likely ones by their ids. */
function likeliestFirst(ids: Uint32Array<ArrayBuffer>, weights: Float64Array) {
  return ids.toSorted((a, b) => weights[b] - weights[a] || a - b);
}

function sum(ids: Uint32Array, weights: Float64Array): number {
  return ids.reduce((total, id) => total + weights[id], 0);
}
