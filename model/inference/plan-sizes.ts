/*
 * How much room to plan for what varies from call to call. Few sizes make few plans and few
 * pipelines, but rows of padding are computed too.
 */

/** Rows for `count` tokens: 4, 5, 6 or 7 times a power of two, at least 64. */
export function roomForTokens(count: number): number {
  const unit = 2 ** (Math.floor(Math.log2(Math.max(64, count))) - 2);
  return Math.max(64, roundUp(count, unit));
}

/** Room for `count` sequences: a power of two; unused ones are empty. */
export function roomForSequences(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

/** The smallest multiple of `unit` that is not below `length`. */
export function roundUp(length: number, unit: number): number {
  return Math.ceil(length / unit) * unit;
}
