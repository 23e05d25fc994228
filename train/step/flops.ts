import { benchmarkProduct } from "../../kernels/benchmark.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ModelConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";

/**
 * Floating-point operations that a token needs in training, forward and backward, without
 * recomputation. The experts of a Soft MoE, whose few slots stand for a whole sequence, are left out.
 *
 * @param sequence tokens of a sequence, of which a token attends to half on average
 */
export function flopsPerToken(config: ModelConfig, sequence: number): number {
  const { hiddenSize, heads, keyValueHeads, headDim, layers, vocabSize } = config;
  const projections = hiddenSize * (2 * heads + 2 * keyValueHeads) * headDim;
  const attention = sequence * heads * headDim;
  return 6 * (layers * (projections + attention) + denseWeights(config) + vocabSize * hiddenSize);
}

/** Weights of the feed-forward layers that every token goes through. */
function denseWeights(config: ModelConfig): number {
  if (config.feedForward !== "raw") return 0;
  return parameterShapes(config)
    .filter(({ name }) => name.includes(".mlp."))
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * What a device's own matrix product reaches at a shape that fills it, in operations a second: the
 * peak of which a run shows its share. It takes half a second.
 *
 * @param mixed operands in f16
 * @returns undefined where the device cannot write timestamps, or has no room for it beside a run
 */
export async function peakRate(gpu: Gpu, mixed: boolean): Promise<number | undefined> {
  if (!gpu.capabilities.timestamps) return undefined;
  const [m, n, k] = gpu.capabilities.cpu ? [512, 512, 512] : [4096, 4096, 1792];
  try {
    const { rate } = await benchmarkProduct(gpu, "peak", "nt", m, n, k, mixed);
    return rate * 1e12;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
