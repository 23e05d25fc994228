import { readSelfAttention, selfAttention } from "../attention/self-attention.ts";
import { parallelBlock } from "../blocks/parallel-block.ts";
import { geluFeedForward } from "../feed-forward/gelu-feed-forward.ts";
import { affineLayerNorm } from "../norm/layer-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";

/**
 * Phi-1, 1.5 and 2 (arXiv 2306.11644, 2309.05463): both layers of a block read the same, LayerNorm,
 * biases everywhere, rope on a part of each head. The dropout of what layers add, which Phi-2's config
 * has (`resid_pdrop`), is for training from nothing: it is left out here.
 */
export const phi: Architecture = {
  modelTypes: ["phi"],
  defaults: { max_position_embeddings: 2048, partial_rotary_factor: 0.5 },
  read(read, sizes) {
    read.only("hidden_act", ["gelu_new", "gelu_pytorch_tanh"]);
    read.only("qk_layernorm", [false]);
    const attention = selfAttention({
      ...readSelfAttention(read, sizes),
      biases: { queryKeyValue: true, output: true },
      outputName: "dense",
    });
    const feedForward = geluFeedForward(sizes.hiddenSize, read.count("intermediate_size"));
    const norm = affineLayerNorm(sizes, read.positive("layer_norm_eps", 1e-5));
    return {
      layers: readAlike(read, parallelBlock(attention, feedForward, norm)),
      norm,
      normName: "final_layernorm",
      headBias: true,
    };
  },
};
