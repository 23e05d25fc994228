import { readSelfAttention, selfAttention } from "../attention/self-attention.ts";
import { readLayerWindows } from "../attention/windows.ts";
import { preNormBlock } from "../blocks/pre-norm-block.ts";
import type { ConfigReader } from "../config-reader.ts";
import { readSwiGlu } from "../feed-forward/dense.ts";
import { Expert, usualSwiGlu } from "../feed-forward/expert.ts";
import { mixtureOfExperts } from "../feed-forward/mixture-of-experts.ts";
import type { SharedSizes } from "../layer.ts";
import { readRmsNorm } from "../norm/rms-norm.ts";
import { count, notNegative } from "../../number-range.ts";
import type { Architecture } from "./architecture.ts";

/**
 * Qwen1.5-MoE and Qwen2-MoE (arXiv 2407.10671): Qwen2 with many small experts, and one that all tokens
 * share. Some layers may be dense.
 */
export const qwen2Moe: Architecture = {
  modelTypes: ["qwen2_moe"],
  defaults: { max_position_embeddings: 32768 },
  read(read, sizes) {
    const options = {
      ...readSelfAttention(read, sizes),
      biases: { queryKeyValue: read.choice("qkv_bias", [true, false], true) },
    };
    const norm = readRmsNorm(read, sizes);
    const mixture = readMixture(read, sizes);
    const windows = readLayerWindows(read, sizes, read.count("num_hidden_layers"));
    const isMixture = readMixtureLayers(read, windows.length);
    const dense = isMixture.includes(false) ? readSwiGlu(read, sizes) : undefined;
    const layers = windows.map((window, layer) =>
      preNormBlock(
        selfAttention({ ...options, window }),
        isMixture[layer] ? mixture : dense!,
        norm,
      )
    );
    return { layers, norm };
  },
};

function readMixture(read: ConfigReader, { hiddenSize }: SharedSizes) {
  read.only("hidden_act", ["silu"]);
  const swiGlu = (key: string) => new Expert(usualSwiGlu, hiddenSize, read.count(key));
  const experts = read.count("num_experts");
  return mixtureOfExperts({
    hiddenSize,
    expert: swiGlu("moe_intermediate_size"),
    shared: swiGlu("shared_expert_intermediate_size"),
    experts,
    perToken: read.number("num_experts_per_tok", { whole: true, least: 1, most: experts }),
    normalize: read.choice("norm_topk_prob", [true, false], false),
    balanceWeight: read.number("router_aux_loss_coef", notNegative, 0.001),
  });
}

/** Of each layer whether it is a mixture: every `decoder_sparse_step`-th that is not in `mlp_only_layers`. */
function readMixtureLayers(read: ConfigReader, layers: number): boolean[] {
  const step = read.count("decoder_sparse_step", 1);
  const dense = read.numbers("mlp_only_layers", count);
  return Array.from(
    { length: layers },
    (_, layer) => (layer + 1) % step === 0 && !dense.includes(layer),
  );
}
