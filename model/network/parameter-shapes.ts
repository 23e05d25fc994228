import type { ModelConfig } from "./config.ts";
import { type Layer, operand, type Parameter, stacked, weight, withPrefix } from "./layer.ts";

/**
 * Every parameter of the model under its published (Hugging Face) name, in Hugging Face's order.
 * Linear weights are [out, in]. A model with tied embeddings has no `lm_head.weight`.
 */
export function parameterShapes(config: ModelConfig): Parameter[] {
  const { layers, norm, tieWordEmbeddings } = config;
  return [
    ...withPrefix("model.embed_tokens.", embeddingLayer(config).parameters),
    ...layers.flatMap((block, index) => withPrefix(`model.layers.${index}.`, block.parameters)),
    ...withPrefix("model.norm.", norm.parameters),
    ...tieWordEmbeddings ? [] : withPrefix("lm_head.", headLayer(config).parameters),
  ];
}

/** The table of embeddings, [vocabulary, hidden]; it is the head as well where they are tied. */
export function embeddingLayer(config: ModelConfig): Layer<"weight"> {
  return config.tieWordEmbeddings ? headLayer(config) : tableLayer(config, stacked);
}

/** The head, [vocabulary, hidden]: logits are its product with the last block's normalised output. */
export function headLayer(config: ModelConfig): Layer<"weight"> {
  return tableLayer(config, operand);
}

function tableLayer(
  { vocabSize, hiddenSize }: ModelConfig,
  stack: typeof operand,
): Layer<"weight"> {
  const table = weight("weight", vocabSize, hiddenSize);
  return { parameters: [table], tensors: { weight: stack(table.shape, table) } };
}
