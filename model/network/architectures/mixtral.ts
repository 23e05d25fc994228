import { readWindow } from "../attention/windows.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import { Expert, usualSwiGlu } from "../feed-forward/expert.ts";
import { mixtureOfExperts } from "../feed-forward/mixture-of-experts.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { notNegative } from "../../number-range.ts";
import { type Architecture, readAlike } from "./architecture.ts";
import { llamaAttention } from "./llama.ts";

/** SwiGLU under Mixtral's names. */
const swiGlu = { ...usualSwiGlu, up: ["w1", "w3"], down: ["w2"] };

/** Mixtral (arXiv 2401.04088): Mistral with sparse mixtures of experts. */
export const mixtral: Architecture = {
  modelTypes: ["mixtral"],
  defaults: {
    max_position_embeddings: 131072,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 1e6,
  },
  read(read, sizes) {
    read.only("hidden_act", ["silu"]);
    read.only("router_jitter_noise", [0]);
    const { hiddenSize } = sizes;
    const experts = read.count("num_local_experts", 8);
    const feedForward = mixtureOfExperts({
      hiddenSize,
      expert: new Expert(swiGlu, hiddenSize, read.count("intermediate_size")),
      experts,
      perToken: read.number("num_experts_per_tok", { whole: true, least: 1, most: experts }, 2),
      normalize: true,
      balanceWeight: read.number("router_aux_loss_coef", notNegative, 0.001),
    });
    const attention = llamaAttention(read, sizes, { window: readWindow(read, sizes) });
    const norm = readRmsNorm(read, sizes);
    const names = { feedForwardName: "block_sparse_moe" };
    return { layers: readAlike(read, preNormBlock(attention, feedForward, norm, names)), norm };
  },
};
