import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { denseLayer } from "../feed-forward/dense.ts";
import { Expert, tanhGeGlu } from "../feed-forward/expert.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/**
 * Gemma (arXiv 2403.08295): Llama with GeGLU, heads of a width of their own, norms whose weights are
 * stored less 1, and embeddings scaled by the root of their width.
 */
export const gemma: Architecture = {
  modelTypes: ["gemma"],
  defaults: { max_position_embeddings: 8192, head_dim: 256, tie_word_embeddings: true },
  read(read, sizes) {
    // Older files say "gelu", but Gemma was trained with the tanh formula, and transformers uses it.
    read.only("hidden_act", ["gelu_pytorch_tanh", "gelu"]);
    read.only("hidden_activation", ["gelu_pytorch_tanh"]);
    read.only("use_bidirectional_attention", [false]);
    const { hiddenSize } = sizes;
    const expert = new Expert(tanhGeGlu, hiddenSize, read.count("intermediate_size"));
    const norm = readRmsNorm(read, sizes, { offset: 1 });
    return {
      layers: readAlike(read, preNormBlock(llamaAttention(read, sizes), denseLayer(expert), norm)),
      norm,
      embeddingScale: Math.sqrt(hiddenSize),
    };
  },
};
