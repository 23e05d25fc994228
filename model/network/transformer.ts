/**
 * The network: embeddings, blocks, a normalisation, and the head. Which blocks these are is the config's
 * choice; Steel-LLM (arXiv 2502.06635) is a Qwen2 decoder whose feed-forward layers are Soft
 * Mixtures of Experts over experts with SwiGLU on both layers.
 *
 * @module
 */
import { embedding } from "../../kernels/layers/embedding.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { scale } from "../../kernels/layers/scale.ts";
import type { HeadWeights } from "../../kernels/loss/head.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { attendInside, type Attention } from "./attention/attention.ts";
import type { Batch } from "./batch.ts";
import type { Parameters } from "./parameters.ts";

/** How a layer attends: generation puts a cache in between. See `Attend` of one layer. */
export type AttendInLayer = (
  queryKeyValue: Tensor,
  attention: Attention,
  layer: number,
) => Tensor;

/**
 * Everything below the head.
 *
 * @param batch token rows
 * @param attend causal attention inside each sequence when left out
 * @returns [tokens, hidden], normalised for the head, of the type that matrix products take
 */
export function transformer(
  batch: Batch,
  parameters: Parameters,
  attend: AttendInLayer = (queryKeyValue, attention) =>
    attendInside(batch.sequences, queryKeyValue, attention),
): Tensor {
  const { layers, norm, embeddingScale } = parameters.config;
  let hidden = embedding(batch.ids, parameters.embedding, batch.order);
  if (embeddingScale !== 1) hidden = scale(hidden, embeddingScale);
  layers.forEach((block, index) => {
    const attendHere = (queryKeyValue: Tensor) => attend(queryKeyValue, block.attention, index);
    const batchHere = { ...batch, memory: batch.memories?.[index] };
    hidden = hidden.graph.segment(
      hidden,
      (x) => block.forward(x, parameters.layers[index], batchHere, attendHere),
    );
  });
  return norm.forward(hidden, parameters.norm);
}

/**
 * The head: logits of every row.
 *
 * @param hidden [rows, hidden] of `transformer`
 * @returns [rows, vocabulary], of the type of hidden
 */
export function logitsOf(hidden: Tensor, { weight, bias }: HeadWeights): Tensor {
  return linear(hidden, weight, bias);
}
