import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import { plainLayerNorm } from "../norm/layer-norm.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/** What OLMo adds to the variance. */
const EPSILON = 1e-5;

/** OLMo (arXiv 2402.00838): Llama with LayerNorm that has no parameters, and clipped projections. */
export const olmo: Architecture = {
  modelTypes: ["olmo"],
  defaults: { max_position_embeddings: 2048 },
  read(read, sizes) {
    const clip = read.value("clip_qkv") === undefined ? undefined : read.positive("clip_qkv");
    const norm = plainLayerNorm(EPSILON);
    const block = preNormBlock(
      llamaAttention(read, sizes, { clip }),
      readSwiGlu(read, sizes),
      norm,
    );
    return { layers: readAlike(read, block), norm };
  },
};
