import type { SamplingOptions } from "../../model/inference/sampling.ts";

/**
 * Logits as the GPU is to leave them before a token is chosen, in the order of Hugging Face's
 * processors: repetition penalty, suppressed tokens.
 *
 * @param history ids of the prompt and of what was generated
 */
export function penalized(
  logits: Float32Array,
  history: Iterable<number>,
  { repetitionPenalty = 1, suppressIds = [] }: SamplingOptions,
): Float32Array {
  const result = logits.slice();
  // Factors in f32, as on the GPU.
  const [multiply, divide] = [repetitionPenalty, 1 / repetitionPenalty].map(Math.fround);
  for (const id of new Set(history)) result[id] *= result[id] > 0 ? divide : multiply;
  for (const id of suppressIds) if (id < result.length) result[id] = -Infinity;
  return result;
}
