/** How many numbers a sketch has. */
const BUCKETS = 64;

/**
 * A short vector that stands for a long one: every number is added, with a sign of its own, to one of
 * a few sums (Charikar et al., "Finding frequent items in data streams", 2002). The map is linear, and
 * a sketch is about as long as what it stands for: ‖sketch(a) − sketch(b)‖² is ‖a − b‖² on average,
 * and off by a sixth of it as a rule. So gradients of small models need not be kept whole.
 */
export function sketch(values: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(BUCKETS);
  let state = 1;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // The lower bits of such a generator repeat soon.
    sums[state >>> 26] += state >>> 25 & 1 ? values[i] : -values[i];
  }
  return sums;
}
