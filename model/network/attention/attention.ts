import { attention as attentionKernel } from "../../../kernels/attention/attention.ts";
import type { HeadLayout } from "../../../kernels/layers/rope.ts";
import { type Sequences, slidingWindow } from "../../../kernels/layers/sequences.ts";
import type { Tensor } from "../../../kernels/runtime/graph.ts";
import type { Batch } from "../batch.ts";
import type { Layer, Weights } from "../layer.ts";

/**
 * From queries, keys and values, [tokens, (heads + 2 · keyValueHeads) · headDim] with rope applied,
 * to [tokens, heads · headDim]. Training attends inside each sequence; generation attends to a cache.
 */
export type Attend = (queryKeyValue: Tensor) => Tensor;

/** The definition of an attention layer; attention is always causal. */
export interface Attention<Name extends string = string> extends Layer<Name>, HeadLayout {
  /** How many tokens a token attends to, itself and those right before it; all when left out. */
  readonly window?: number;
  /**
   * Floating-point operations of one token's forward pass.
   *
   * @param sequence tokens of a sequence, of which a token attends to half on average
   */
  flopsPerToken(sequence: number): number;
  /**
   * Records attention(x), or residual + attention(x).
   *
   * @param x [tokens, hidden], of the type that matrix products take
   * @param residual [tokens, hidden] f32
   * @returns [tokens, hidden]; f32 with a residual
   */
  forward(
    x: Tensor,
    residual: Tensor | undefined,
    weights: Weights<Name>,
    batch: Batch,
    attend: Attend,
  ): Tensor;
}

/** Causal attention inside each sequence, as a layer has it. */
export function attendInside(
  sequences: Sequences,
  queryKeyValue: Tensor,
  { heads, keyValueHeads, headDim, window }: Attention,
): Tensor {
  const seen = window === undefined ? sequences : slidingWindow(sequences, window);
  return attentionKernel(queryKeyValue, seen, { heads, keyValueHeads, headDim });
}
