import { postNormBlock } from "../blocks/post-norm-block.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import { readEpsilon, readRmsNorm } from "../norm/rms-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/** OLMo 2 (arXiv 2501.00656): norms behind the layers, and of all heads' queries and keys. */
export const olmo2: Architecture = {
  modelTypes: ["olmo2"],
  defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  read(read, sizes) {
    const headNorms = { of: "all heads", epsilon: readEpsilon(read) } as const;
    const norm = readRmsNorm(read, sizes);
    const attention = llamaAttention(read, sizes, { headNorms });
    return {
      layers: readAlike(read, postNormBlock(attention, readSwiGlu(read, sizes), norm)),
      norm,
    };
  },
};
