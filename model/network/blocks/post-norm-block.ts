import { add } from "../../../kernels/layers/add.ts";
import { cast } from "../../../kernels/layers/cast.ts";
import type { Attention } from "../attention/attention.ts";
import type { FeedForward } from "../feed-forward/feed-forward.ts";
import type { Norm } from "../norm/norm.ts";
import type { TransformerBlock } from "./transformer-block.ts";

/**
 * A decoder block with a norm behind each layer, as OLMo 2 has it (arXiv 2501.00656):
 * h = x + norm(attention(x)), y = h + norm(feedForward(h)).
 *
 * @param norm the normalisation behind each of the two, each time with weights of its own
 */
export function postNormBlock(
  attention: Attention,
  feedForward: FeedForward,
  norm: Norm,
): TransformerBlock {
  return {
    attention,
    feedForward,
    layers: {
      self_attn: attention,
      post_attention_layernorm: norm,
      mlp: feedForward,
      post_feedforward_layernorm: norm,
    },
    published: ["self_attn", "mlp", "post_attention_layernorm", "post_feedforward_layernorm"],

    forward(x, weights, batch, attend) {
      const { operand } = x.graph;
      const attended = attention.forward(
        cast(x, operand),
        undefined,
        weights.self_attn,
        batch,
        attend,
      );
      const normed = norm.forward(cast(attended, "f32"), weights.post_attention_layernorm, "f32");
      const hidden = add(x, normed);

      const input = feedForward.inputType === "f32" ? hidden : cast(hidden, operand);
      const output = feedForward.forward(input, undefined, weights.mlp, batch);
      return add(
        hidden,
        norm.forward(cast(output, "f32"), weights.post_feedforward_layernorm, "f32"),
      );
    },
  };
}
