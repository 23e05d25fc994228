import {
  readSelfAttention,
  type SelfAttention,
  selfAttention,
} from "../attention/self-attention.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import type { ConfigReader } from "../config-reader.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import type { SharedSizes } from "../layer.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";

/**
 * Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783) and all that took its layers as they are:
 * TinyLlama (arXiv 2401.02385), MAP-Neo (arXiv 2405.19327), CT-LLM (arXiv 2404.04167).
 */
export const llama: Architecture = {
  modelTypes: ["llama"],
  defaults: { max_position_embeddings: 2048 },
  read(read, sizes) {
    const norm = readRmsNorm(read, sizes);
    const feedForward = readSwiGlu(read, sizes);
    return {
      layers: readAlike(read, preNormBlock(llamaAttention(read, sizes), feedForward, norm)),
      norm,
    };
  },
};

/** Llama's attention: rotary positions, grouped queries, mostly no biases. */
export function llamaAttention(
  read: ConfigReader,
  sizes: SharedSizes,
  variation: Partial<SelfAttention> = {},
) {
  const biased = read.choice("attention_bias", [true, false], false);
  return selfAttention({
    ...readSelfAttention(read, sizes),
    biases: { queryKeyValue: biased, output: biased },
    ...variation,
  });
}
