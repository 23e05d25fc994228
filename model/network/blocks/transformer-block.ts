import type { Tensor } from "../../../kernels/runtime/graph.ts";
import type { Attend, Attention } from "../attention/attention.ts";
import type { Batch } from "../batch.ts";
import type { FeedForward } from "../feed-forward/feed-forward.ts";
import { type Layer, type Parameter, type Weights, withPrefix } from "../layer.ts";

/** The tensors of a block, of each layer by its published name. */
export type BlockWeights = Readonly<Record<string, Weights>>;

/** The definition of a decoder block: an attention layer, a feed-forward layer, and what is around. */
export interface TransformerBlock {
  /** The layer in which tokens read earlier tokens. */
  readonly attention: Attention;
  /** The layer in which each token is mapped. */
  readonly feedForward: FeedForward;
  /** Its layers by their published names, in the order in which their tensors are made. */
  readonly layers: Readonly<Record<string, Layer>>;
  /** The names in the order of Hugging Face's checkpoints. */
  readonly published: readonly string[];
  /**
   * Records the block.
   *
   * @param x [tokens, hidden] f32
   * @returns [tokens, hidden] f32
   */
  forward(x: Tensor, weights: BlockWeights, batch: Batch, attend: Attend): Tensor;
}

/** A block's parameters in the order of Hugging Face's checkpoints, without the block's prefix. */
export function blockParameters({ layers, published }: TransformerBlock): Parameter[] {
  return published.flatMap((name) => withPrefix(`${name}.`, layers[name].parameters));
}

/**
 * Floating-point operations of one token's forward pass.
 *
 * @param sequence tokens of a sequence
 */
export function blockFlopsPerToken(
  { attention, feedForward }: TransformerBlock,
  sequence: number,
): number {
  return attention.flopsPerToken(sequence) + feedForward.flopsPerToken(sequence);
}
