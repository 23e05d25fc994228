import { readSelfAttention, selfAttention } from "../attention/self-attention.ts";
import { readLayerWindows } from "../attention/windows.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { readFeedForward } from "../feed-forward/feed-forwards.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import type { Architecture } from "./architecture.ts";

/**
 * Steel-LLM (arXiv 2502.06635) and the Qwen decoders that it builds on: Qwen1.5, Qwen2 and Qwen2.5
 * (arXiv 2407.10671, 2412.15115), with biases on queries, keys and values. They differ in the
 * feed-forward layer alone, which `FFN_type` chooses; a config without that key is a Qwen.
 */
export const steel: Architecture = {
  modelTypes: ["qwen2", "steel"],
  defaults: { max_position_embeddings: 32768 },
  read(read, sizes, feedForwards) {
    const options = { ...readSelfAttention(read, sizes), biases: { queryKeyValue: true } };
    const feedForward = readFeedForward(read, sizes, feedForwards);
    const norm = readRmsNorm(read, sizes);
    const windows = readLayerWindows(read, sizes, read.count("num_hidden_layers"));
    const layers = windows.map((window) =>
      preNormBlock(selfAttention({ ...options, window }), feedForward, norm)
    );
    return { layers, norm };
  },
};
