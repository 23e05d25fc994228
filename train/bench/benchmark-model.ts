import type { KernelShapes } from "../../kernels/benchmark.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { type ModelConfig, parseConfig } from "../../model/network/config.ts";
import type { Parameter } from "../../model/network/layer.ts";
import { loadPretrainSettings } from "../settings/pretrain-settings.ts";

/** The settings of the model in Table 1 of the paper. */
const STEEL_1B = decodeURIComponent(new URL("../steel-1b.yaml", import.meta.url).pathname);

/** Tokens of Qwen1.5's vocabulary. */
const QWEN_VOCABULARY = 151936;

/** What a small model of the same make has instead. */
const SMALL = {
  vocab_size: 2048,
  hidden_size: 128,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
};

/** How many random values are drawn; a prime, so that rows do not repeat each other. */
const DRAWN = 9973;

/** The model whose speed is measured: Steel-LLM's of Table 1, or a small one of the same make. */
export async function benchmarkModel(
  small: boolean,
): Promise<{ config: ModelConfig; sequence: number }> {
  const { model, data } = await loadPretrainSettings(["--config", STEEL_1B]);
  const table1 = { ...model, vocab_size: QWEN_VOCABULARY };
  const config = parseConfig(small ? { ...table1, ...SMALL } : table1, "the benchmark's model");
  return { config, sequence: small ? 128 : data.sequence };
}

/** The sizes of a model's kernels. */
export function kernelShapes(
  { hiddenSize: hidden, vocabSize: vocabulary, layers }: ModelConfig,
  batch: { microBatch: number; sequence: number },
): KernelShapes {
  const { heads, headDim } = layers[0].attention;
  return { ...batch, hidden, heads, headDim, vocabulary };
}

/**
 * Values of the right size for a parameter. Drawing a billion of them takes the host longer than all
 * that is measured: a few thousand repeat.
 */
export function randomWeights({ shape, initial }: Parameter): Float32Array<ArrayBuffer> {
  const values = new Float32Array(sizeOf(shape));
  if ("constant" in initial) return values.fill(initial.constant);
  const drawn = Math.min(DRAWN, values.length);
  for (let i = 0; i < drawn; i++) values[i] = (Math.random() - 0.5) / 15;
  for (let filled = drawn; filled < values.length; filled *= 2) {
    values.copyWithin(filled, 0, Math.min(filled, values.length - filled));
  }
  return values;
}
