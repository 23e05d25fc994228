import { UserError } from "../kernels/runtime/user-error.ts";

/** The index of the first value that is NaN or infinite, or -1. */
export function firstNotFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) {
    if (values[i] - values[i] !== 0) return i; // many times as fast as a call for each value
  }
  return -1;
}

/**
 * Refuses what a model computed: whatever followed from it would look like an answer.
 *
 * @throws UserError if a value is NaN or infinite
 */
export function requireFinite(values: ArrayLike<number>): void {
  const found = firstNotFinite(values);
  if (found < 0) return;
  throw new UserError(
    `The model computes ${
      values[found]
    } where a number should be: its weights are broken, or its ` +
      `numbers overflow. Mixed precision overflows first: try --precision=f32.`,
  );
}
