import type { HeadLayout } from "../../../kernels/layers/rope.ts";
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
  /** The keys of `config.json` that describe it. */
  readonly json: Readonly<Record<string, unknown>>;
  /**
   * Floating-point operations of one token's forward pass.
   *
   * @param sequence tokens of a sequence, of which a token attends to half on average
   */
  flopsPerToken(sequence: number): number;
  /**
   * Records residual + attention(x).
   *
   * @param x [tokens, hidden], normalised, of the type that matrix products take
   * @param residual [tokens, hidden] f32
   * @returns [tokens, hidden] f32
   */
  forward(
    x: Tensor,
    residual: Tensor,
    weights: Weights<Name>,
    batch: Batch,
    attend: Attend,
  ): Tensor;
}
