import type { ModelConfig } from "./config.ts";
import { blockParameters } from "./blocks/transformer-block.ts";
import { bias, type Layer, operand, type Parameter, stacked, weight, withPrefix } from "./layer.ts";

/**
 * Every parameter of the model under its published (Hugging Face) name, in Hugging Face's order.
 * Linear weights are [out, in]. A model with tied embeddings has no `lm_head.weight`.
 */
export function parameterShapes(config: ModelConfig): Parameter[] {
  const { layers, norm, normName } = config;
  return [
    ...withPrefix("model.embed_tokens.", embeddingLayer(config).parameters),
    ...layers.flatMap((block, index) =>
      withPrefix(`model.layers.${index}.`, blockParameters(block))
    ),
    ...withPrefix(`model.${normName}.`, norm.parameters),
    ...withPrefix("lm_head.", headLayer(config).parameters),
  ];
}

/** The table of embeddings, [vocabulary, hidden]; it is the head's as well where they are tied. */
export function embeddingLayer(config: ModelConfig): Layer<"weight"> {
  const table = tableOf(config);
  const stack = config.tieWordEmbeddings ? operand : stacked;
  return { parameters: [table], tensors: { weight: stack(table.shape, table) } };
}

/**
 * The head's own parameters: `weight` [vocabulary, hidden], unless it is tied to the embeddings, and
 * `bias` [vocabulary], if it has one. Logits are its product with the last block's normalised output.
 */
export function headLayer(config: ModelConfig): Layer {
  const table = tableOf(config);
  const shift = bias("bias", config.vocabSize);
  const own = {
    ...!config.tieWordEmbeddings && { weight: operand(table.shape, table) },
    ...config.headBias && { bias: stacked(shift.shape, shift) },
  };
  return { parameters: Object.values(own).flatMap(({ parameters }) => parameters), tensors: own };
}

function tableOf({ vocabSize, hiddenSize }: ModelConfig): Parameter {
  return weight("weight", vocabSize, hiddenSize);
}
