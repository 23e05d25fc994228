import type { HeadLayout } from "../layers/rope.ts";
import type { Sequences } from "../layers/sequences.ts";
import type { Tensor } from "../runtime/graph.ts";

/** What attention's forward reads and leaves for its backward. */
export interface SavedAttention {
  /** [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16. */
  readonly qkv: Tensor;
  /** [tokens, heads · headDim], of the same type: the result. */
  readonly y: Tensor;
  /** [heads, tokens] f32: logarithm of the sum of exponentials of each row's scores. */
  readonly logSumExp: Tensor;
}

/** One way to compute attention: the dispatches of its forward and of its gradients. */
export interface AttentionVariant {
  /** Records what writes `y` and `logSumExp`. */
  forward(saved: SavedAttention, sequences: Sequences, layout: HeadLayout): void;
  /** Records what writes the gradient `dqkv` of qkv, from the gradient `dy` of y, of the same types. */
  backward(
    saved: SavedAttention,
    sequences: Sequences,
    layout: HeadLayout,
    dy: Tensor,
    dqkv: Tensor,
  ): void;
}

/**
 * Multiplications and additions of one product of the scores of some heads, for sequences as long as
 * the longest: half of the scores are hidden.
 */
export function scoreFlops(
  { tokens, longest, headDim }: { tokens: number; longest: number; headDim: number },
  heads: number,
): number {
  return tokens * longest * headDim * heads;
}
