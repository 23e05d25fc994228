import { readSelfAttention, selfAttention } from "../attention/self-attention.ts";
import { readLayerWindows } from "../attention/windows.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import { readEpsilon, readRmsNorm } from "../norm/rms-norm.ts";
import type { Architecture } from "./architecture.ts";

/** Qwen3 (arXiv 2505.09388), dense: Qwen2 with a norm of each head's queries and keys, mostly no biases. */
export const qwen3: Architecture = {
  modelTypes: ["qwen3"],
  defaults: { max_position_embeddings: 32768, head_dim: 128 },
  read(read, sizes) {
    const biased = read.choice("attention_bias", [true, false], false);
    const norm = readRmsNorm(read, sizes);
    const feedForward = readSwiGlu(read, sizes);
    const options = {
      ...readSelfAttention(read, sizes),
      biases: { queryKeyValue: biased, output: biased },
      headNorms: { of: "each head", epsilon: readEpsilon(read) },
    } as const;
    const windows = readLayerWindows(read, sizes, read.count("num_hidden_layers"));
    const layers = windows.map((window) =>
      preNormBlock(selfAttention({ ...options, window }), feedForward, norm)
    );
    return { layers, norm };
  },
};
