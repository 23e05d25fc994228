import { readWindow } from "../attention/windows.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/** Mistral (arXiv 2310.06825): Llama with a sliding window in every layer. */
export const mistral: Architecture = {
  modelTypes: ["mistral"],
  defaults: {
    max_position_embeddings: 131072,
    num_key_value_heads: 8,
    sliding_window: 4096,
  },
  read(read, sizes) {
    const attention = llamaAttention(read, sizes, { window: readWindow(read, sizes) });
    const norm = readRmsNorm(read, sizes);
    return {
      layers: readAlike(read, preNormBlock(attention, readSwiGlu(read, sizes), norm)),
      norm,
    };
  },
};
