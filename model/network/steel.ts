/**
 * The network of Steel-LLM (arXiv 2502.06635): a Qwen2 decoder whose feed-forward layer is a Soft
 * Mixture of Experts over experts with SwiGLU on both layers.
 */
import { add } from "../../kernels/layers/add.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { embedding } from "../../kernels/layers/embedding.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { rmsNorm } from "../../kernels/layers/rms-norm.ts";
import { rope } from "../../kernels/layers/rope.ts";
import type { Sequences } from "../../kernels/layers/sequences.ts";
import { combineSlots, dispatchToSlots } from "../../kernels/soft-moe/soft-moe.ts";
import { swiglu } from "../../kernels/layers/swiglu.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import type { Batch } from "./batch.ts";
import type { ModelConfig } from "./config.ts";
import type { Layer, Parameters } from "./parameters.ts";

/** Attention of one layer over its rotated projection; generation puts a cache in between. */
export type Attend = (queryKeyValue: Tensor, layer: number) => Tensor;

/**
 * Everything below the head.
 *
 * @param batch token rows
 * @param attend causal attention inside each sequence when left out
 * @returns [tokens, hidden] f32, normalised for the head
 */
export function transformer(
  batch: Batch,
  parameters: Parameters,
  attend: Attend = (queryKeyValue) => attention(queryKeyValue, batch.sequences, parameters.config),
): Tensor {
  const { config } = parameters;
  const block = (x: Tensor, layer: Layer, index: number): Tensor => {
    const normed = rmsNorm(x, layer.inputNorm, config.rmsNormEpsilon);
    const projected = linear(normed, layer.queryKeyValue, layer.queryKeyValueBias);
    const rotated = rope(projected, batch.positions, parameters.ropeTable, config);
    const hidden = add(x, linear(attend(rotated, index), layer.attentionOutput));

    const type = layer.phi ? "f32" : hidden.graph.operand;
    const input = rmsNorm(hidden, layer.feedForwardNorm, config.rmsNormEpsilon, type);
    return feedForward(input, hidden, layer, batch.sequences, config);
  };
  let hidden = embedding(batch.ids, parameters.embedding, batch.order);
  parameters.layers.forEach((layer, index) => {
    hidden = hidden.graph.segment(hidden, (x) => block(x, layer, index));
  });
  return rmsNorm(hidden, parameters.norm, config.rmsNormEpsilon);
}

/** Soft MoE, or a single expert without routing, added to what came before. [tokens, hidden]. */
function feedForward(
  x: Tensor,
  residual: Tensor,
  layer: Layer,
  sequences: Sequences,
  config: ModelConfig,
): Tensor {
  if (!layer.phi || !layer.scale) return add(residual, expert(x, layer, config));
  const routing = dispatchToSlots(x, layer.phi, layer.scale, sequences);
  return combineSlots(expert(routing.slots, layer, config), routing, sequences, residual);
}

/**
 * All experts at once, each on its own rows: h = silu(W_gate_up x) ⊙ (W_up x), and then
 * y = silu(W_gate_down h) ⊙ (W_down h), or y = W_down h in the usual SwiGLU.
 */
function expert(x: Tensor, { up, down }: Layer, config: ModelConfig): Tensor {
  const inner = swiglu(linear(x, up));
  const outer = linear(inner, down);
  return config.expert === "senet" ? swiglu(outer) : outer;
}
