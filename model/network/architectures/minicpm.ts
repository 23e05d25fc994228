import { scale } from "../../../kernels/layers/scale.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import type { Norm } from "../norm/norm.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/**
 * MiniCPM (arXiv 2404.06395): Llama with three scales, so that what was tuned on small models holds
 * for larger ones: of the embeddings, of what each layer adds, and of what the head reads.
 */
export const minicpm: Architecture = {
  modelTypes: ["minicpm"],
  defaults: { max_position_embeddings: 32768, tie_word_embeddings: true },
  read(read, sizes) {
    const norm = readRmsNorm(read, sizes);
    const layers = read.count("num_hidden_layers");
    const residualScale = read.positive("scale_depth", 1) / Math.sqrt(layers);
    const block = preNormBlock(llamaAttention(read, sizes), readSwiGlu(read, sizes), norm, {
      residualScale,
    });
    return {
      layers: readAlike(read, block),
      norm: scaled(norm, read.count("dim_model_base", 1) / sizes.hiddenSize),
      embeddingScale: read.positive("scale_emb", 1),
    };
  },
};

/** A norm whose result is multiplied by a factor. */
function scaled(norm: Norm, factor: number): Norm {
  return {
    ...norm,
    forward: (x, weights, dtype) => scale(norm.forward(x, weights, dtype), factor),
  };
}
