import { sizeOf } from "../../kernels/runtime/storage.ts";
import { type ModelConfig, parseConfig } from "../../model/network/config.ts";
import type { Part } from "../../model/network/parameters.ts";

/** A prime, so that rows do not repeat each other. */
const DRAWN = 9973;

/** The model whose speed is measured: Steel-LLM's of Table 1, or a small one of the same make. */
export function benchmarkModel(small: boolean): { config: ModelConfig; sequence: number } {
  const size = small
    ? { vocab_size: 2048, hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 4 }
    : { vocab_size: 151936, hidden_size: 1792, num_hidden_layers: 18, num_attention_heads: 32 };
  const config = parseConfig({
    ...size,
    intermediate_size: size.hidden_size,
    n_experts: 6,
    slots_per_expert: 1,
    mlp_div_ratio: 4,
    FFN_type: "softmoe_v3",
    mlp_type: "senet",
    rope_theta: 1e6,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 2048,
  }, "the benchmark's model");
  return { config, sequence: small ? 128 : 2048 };
}

/**
 * Numbers of the right size for a parameter. Drawing a billion of them takes the host longer than
 * all that is measured: a few thousand repeat.
 */
export function randomWeights({ name, shape }: Part): Float32Array<ArrayBuffer> {
  const values = new Float32Array(sizeOf(shape));
  if (name.endsWith("norm.weight") || name.endsWith(".scale")) return values.fill(1);
  const drawn = Math.min(DRAWN, values.length);
  for (let i = 0; i < drawn; i++) values[i] = (Math.random() - 0.5) / 15;
  for (let filled = drawn; filled < values.length; filled *= 2) {
    values.copyWithin(filled, 0, Math.min(filled, values.length - filled));
  }
  return values;
}
