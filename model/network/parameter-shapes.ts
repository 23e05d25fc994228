import type { ModelConfig } from "./config.ts";

/** One trainable tensor: its name in published checkpoints and its shape. */
export interface ParameterShape {
  name: string;
  shape: number[];
}

/**
 * Every parameter of the model under its published (Hugging Face) name, in Hugging Face's order.
 * Linear weights are [out, in]. A model with tied embeddings has no `lm_head.weight`.
 */
export function parameterShapes(config: ModelConfig): ParameterShape[] {
  const { vocabSize, hiddenSize } = config;
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const prefix = `model.layers.${layer}.`;
    return [
      ...attentionShapes(config, `${prefix}self_attn.`),
      ...feedForwardShapes(config, `${prefix}mlp.`),
      parameter(`${prefix}input_layernorm.weight`, hiddenSize),
      parameter(`${prefix}post_attention_layernorm.weight`, hiddenSize),
    ];
  });
  return [
    parameter("model.embed_tokens.weight", vocabSize, hiddenSize),
    ...layers.flat(),
    parameter("model.norm.weight", hiddenSize),
    ...config.tieWordEmbeddings ? [] : [parameter("lm_head.weight", vocabSize, hiddenSize)],
  ];
}

function attentionShapes(config: ModelConfig, prefix: string): ParameterShape[] {
  const { hiddenSize } = config;
  const queryWidth = config.heads * config.headDim;
  const keyValueWidth = config.keyValueHeads * config.headDim;
  return [
    parameter(`${prefix}q_proj.weight`, queryWidth, hiddenSize),
    parameter(`${prefix}q_proj.bias`, queryWidth),
    parameter(`${prefix}k_proj.weight`, keyValueWidth, hiddenSize),
    parameter(`${prefix}k_proj.bias`, keyValueWidth),
    parameter(`${prefix}v_proj.weight`, keyValueWidth, hiddenSize),
    parameter(`${prefix}v_proj.bias`, keyValueWidth),
    parameter(`${prefix}o_proj.weight`, hiddenSize, queryWidth),
  ];
}

function feedForwardShapes(config: ModelConfig, prefix: string): ParameterShape[] {
  if (config.feedForward === "raw") return expertShapes(config, prefix);
  const shapes = [
    parameter(`${prefix}phi`, config.hiddenSize, config.experts, config.slotsPerExpert),
    parameter(`${prefix}scale`, 1),
  ];
  for (let expert = 0; expert < config.experts; expert++) {
    shapes.push(...expertShapes(config, `${prefix}experts.${expert}.`));
  }
  return shapes;
}

function expertShapes(config: ModelConfig, prefix: string): ParameterShape[] {
  const { hiddenSize, innerSize } = config;
  if (config.expert === "senet") {
    return [
      parameter(`${prefix}gate_up_proj.weight`, innerSize, hiddenSize),
      parameter(`${prefix}up_proj.weight`, innerSize, hiddenSize),
      parameter(`${prefix}gate_down_proj.weight`, hiddenSize, innerSize),
      parameter(`${prefix}down_proj.weight`, hiddenSize, innerSize),
    ];
  }
  return [
    parameter(`${prefix}gate_proj.weight`, innerSize, hiddenSize),
    parameter(`${prefix}up_proj.weight`, innerSize, hiddenSize),
    parameter(`${prefix}down_proj.weight`, hiddenSize, innerSize),
  ];
}

function parameter(name: string, ...shape: number[]): ParameterShape {
  return { name, shape };
}
