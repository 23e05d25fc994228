import type { Attention } from "../attention/attention.ts";
import type { FeedForward } from "../feed-forward/feed-forward.ts";
import type { Norm } from "../norm/norm.ts";
import type { TransformerBlock } from "./transformer-block.ts";

/**
 * A decoder block whose two layers read the same, as GPT-J and Phi have it:
 * y = x + attention(norm(x)) + feedForward(norm(x)).
 */
export function parallelBlock(
  attention: Attention,
  feedForward: FeedForward,
  norm: Norm,
): TransformerBlock {
  return {
    attention,
    feedForward,
    layers: { input_layernorm: norm, self_attn: attention, mlp: feedForward },
    published: ["self_attn", "mlp", "input_layernorm"],

    forward(x, weights, batch, attend) {
      const normed = norm.forward(x, weights.input_layernorm);
      const hidden = attention.forward(normed, x, weights.self_attn, batch, attend);
      return feedForward.forward(normed, hidden, weights.mlp, batch);
    },
  };
}
