import { benchmarkProduct } from "../../kernels/benchmark.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { blockFlopsPerToken } from "../../model/network/blocks/transformer-block.ts";
import type { ModelConfig } from "../../model/network/config.ts";

/**
 * Floating-point operations of one token in training, forward and backward, as the layers count
 * them; recomputation is left out.
 *
 * @param sequence tokens of a sequence, of which a token attends to half on average
 * @param isFrozen whether weights have no gradients; those of an adapter are few, and left out
 */
export function flopsPerToken(
  { layers, vocabSize, hiddenSize }: ModelConfig,
  sequence: number,
  isFrozen = false,
): number {
  const head = 2 * vocabSize * hiddenSize;
  const forward = layers.reduce((sum, block) => sum + blockFlopsPerToken(block, sequence), head);
  // The backward makes two matrix products of each one: the gradients of its two operands.
  return (isFrozen ? 2 : 3) * forward;
}

/**
 * What a device's own matrix product reaches at a shape that fills it, in operations a second: the
 * peak of which a run shows its share. It takes half a second.
 *
 * @param mixed operands in f16
 * @returns undefined where the device cannot write timestamps or has no room for it beside a run, and
 *   on a software driver: other programs share its CPU, so that no figure stays the peak
 */
export async function peakRate(gpu: Gpu, mixed: boolean): Promise<number | undefined> {
  if (!gpu.capabilities.timestamps || gpu.capabilities.cpu) return undefined;
  const [m, n, k] = [4096, 4096, 1792];
  try {
    const { rate } = await benchmarkProduct(gpu, "peak", "nt", m, n, k, mixed);
    return rate * 1e12;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
