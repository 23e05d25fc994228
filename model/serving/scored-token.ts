/** A token with its natural logarithm of a probability. */
export interface TokenLogProb {
  readonly id: number;
  readonly logProb: number;
}

/** A token that was chosen, and the likeliest ones in its place, the likeliest first. */
export interface ScoredToken extends TokenLogProb {
  readonly top: readonly TokenLogProb[];
}

/**
 * The log-probability of a token under its logits, before temperature and top-p: a softmax in float64.
 *
 * @param logits [vocabulary], with penalties applied
 * @param top how many of the likeliest tokens are told too
 */
export function scoreToken(id: number, logits: Float32Array, top: number): ScoredToken {
  let highest = -Infinity;
  for (const logit of logits) if (logit > highest) highest = logit;
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - highest);
  const normalizer = highest + Math.log(total);
  const scored = (id: number) => ({ id, logProb: logits[id] - normalizer });
  return { ...scored(id), top: likeliestIds(logits, top).map(scored) };
}

/** The ids of the highest logits, equal ones by their ids. */
function likeliestIds(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length && count > 0; id++) {
    if (ids.length === count && !(logits[id] > logits[ids[count - 1]])) continue;
    const place = ids.findIndex((other) => logits[id] > logits[other]);
    ids.splice(place < 0 ? ids.length : place, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  return ids;
}
