import type { Gpu } from "../../kernels/runtime/device.ts";
import type { ModelConfig } from "../network/config.ts";
import { roomForTokens } from "./plan-sizes.ts";
import { sharedLength } from "./shared-length.ts";

/** Tokens of prompts to read at once: enough to keep a GPU busy; on a CPU, more gain nothing. */
const TOKENS_AT_ONCE = { gpu: 16384, cpu: 4096 };
/** Texts to write at once: a step costs hardly more than that of one. */
const TEXTS_AT_ONCE = 32;

/** How much one batch may hold; it always takes one sequence, however long. */
export interface BatchLimits {
  /** Most sequences. */
  readonly sequences: number;
  /** Most tokens of all sequences. */
  readonly tokens: number;
  /** Whether tokens count once that a sequence and the batch's first begin with. */
  readonly sharesPrefixes: boolean;
}

/** How many tokens of prompts suit a device at once. */
export function tokensAtOnce({ capabilities }: Gpu): number {
  return TOKENS_AT_ONCE[capabilities.cpu ? "cpu" : "gpu"];
}

/**
 * How many texts, even at their longest, suit a device at once. The cache of keys and values that a
 * layer keeps for all of them must be one binding.
 */
export function textsAtOnce({ capabilities }: Gpu, { layers, maxPositions }: ModelConfig): number {
  const widths = layers.map(({ attention }) => 2 * attention.keyValueHeads * attention.headDim);
  const bytes = 4 * roomForTokens(maxPositions) * Math.max(...widths);
  return Math.max(1, Math.min(TEXTS_AT_ONCE, Math.floor(capabilities.maxBindingBytes / bytes)));
}

/** Cuts items into batches, in their order. An item is taken only when its batch is being filled. */
export function* inBatches<T>(
  items: Iterable<T>,
  idsOf: (item: T) => readonly number[],
  limits: BatchLimits,
): Generator<T[]> {
  let batch: T[] = [];
  let tokens = 0;
  for (const item of items) {
    const ids = idsOf(item);
    const [first] = batch;
    const shared = first && limits.sharesPrefixes ? sharedLength([idsOf(first), ids]) : 0;
    const isFull = batch.length === limits.sequences ||
      tokens + ids.length - shared > limits.tokens;
    if (first && isFull) {
      yield batch;
      batch = [];
      tokens = 0;
    }
    tokens += ids.length - (batch.length > 0 ? shared : 0);
    batch.push(item);
  }
  if (batch.length > 0) yield batch;
}
