import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { microBatchOfBlocks } from "../batches/block-batches.ts";

/**
 * Mean −ln p over every target of the blocks.
 *
 * @param blocks int32 [seq + 1] each
 * @param rows blocks scored at once
 * @param padding the token that fills blocks up, which is no target
 */
export async function validationLoss(
  model: LanguageModel,
  blocks: readonly Int32Array[],
  rows: number,
  padding?: number,
): Promise<number> {
  let sum = 0;
  let count = 0;
  for (let first = 0; first < blocks.length; first += rows) {
    const { inputs, labels } = microBatchOfBlocks(blocks.slice(first, first + rows), padding);
    const ids = inputs.map((sequence) => Array.from(sequence));
    // What is ignored has a log-probability of 0.
    for (const logProbs of await model.logProbs(ids, labels.map((row) => Array.from(row)))) {
      for (const logProb of logProbs) sum -= logProb;
    }
    count += labels.flatMap((row) => Array.from(row)).filter((id) => id !== IGNORED_LABEL).length;
  }
  return sum / count;
}

/** Entropy in nats of the tokens' own frequencies: what knowing nothing but these would reach. */
export function unigramEntropy(blocks: readonly Int32Array[], padding?: number): number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const block of blocks) {
    for (const id of block.subarray(1)) {
      if (id === padding) continue;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      total++;
    }
  }
  return -[...counts.values()].reduce((sum, n) => sum + n / total * Math.log(n / total), 0);
}
