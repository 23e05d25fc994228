/**
 * The network below the head: embeddings, blocks, a normalisation. Which blocks these are is the
 * config's choice; Steel-LLM (arXiv 2502.06635) is a Qwen2 decoder whose feed-forward layers are Soft
 * Mixtures of Experts over experts with SwiGLU on both layers.
 *
 * @module
 */
import { attention } from "../../kernels/attention/attention.ts";
import { embedding } from "../../kernels/layers/embedding.ts";
import type { HeadLayout } from "../../kernels/layers/rope.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import type { Batch } from "./batch.ts";
import type { Parameters } from "./parameters.ts";

/** How a layer attends: generation puts a cache in between. See `Attend` of one layer. */
export type AttendInLayer = (queryKeyValue: Tensor, layout: HeadLayout, layer: number) => Tensor;

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
  attend: AttendInLayer = (queryKeyValue, layout) =>
    attention(queryKeyValue, batch.sequences, layout),
): Tensor {
  const { layers, norm } = parameters.config;
  let hidden = embedding(batch.ids, parameters.embedding, batch.order);
  layers.forEach((block, index) => {
    const attendHere = (queryKeyValue: Tensor) => attend(queryKeyValue, block.attention, index);
    hidden = hidden.graph.segment(
      hidden,
      (x) => block.forward(x, parameters.layers[index], batch, attendHere),
    );
  });
  return norm.forward(hidden, parameters.norm);
}
