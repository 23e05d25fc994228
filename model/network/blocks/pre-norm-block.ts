import { add } from "../../../kernels/layers/add.ts";
import { scale } from "../../../kernels/layers/scale.ts";
import type { Tensor } from "../../../kernels/runtime/graph.ts";
import type { Attention } from "../attention/attention.ts";
import type { FeedForward } from "../feed-forward/feed-forward.ts";
import type { Norm } from "../norm/norm.ts";
import type { TransformerBlock } from "./transformer-block.ts";

/**
 * A decoder block with a norm before each layer, as Llama and Qwen2 have it:
 * h = x + s · attention(norm(x)), y = h + s · feedForward(norm(h)).
 *
 * @param norm the normalisation before each of the two, each time with weights of its own
 * @param options.residualScale s, which is 1 in all but MiniCPM
 * @param options.feedForwardName the published name of the feed-forward layer
 */
export function preNormBlock(
  attention: Attention,
  feedForward: FeedForward,
  norm: Norm,
  { residualScale = 1, feedForwardName = "mlp" } = {},
): TransformerBlock {
  /** x plus what a layer makes of it; the layer itself adds where it can do so in passing. */
  const addTo = (x: Tensor, layer: (residual?: Tensor) => Tensor) =>
    residualScale === 1 ? layer(x) : add(x, scale(layer(), residualScale));
  return {
    attention,
    feedForward,
    // In the order in which a token passes them.
    layers: {
      input_layernorm: norm,
      self_attn: attention,
      post_attention_layernorm: norm,
      [feedForwardName]: feedForward,
    },
    published: ["self_attn", feedForwardName, "input_layernorm", "post_attention_layernorm"],

    forward(x, weights, batch, attend) {
      const normed = norm.forward(x, weights.input_layernorm);
      const hidden = addTo(
        x,
        (residual) => attention.forward(normed, residual, weights.self_attn, batch, attend),
      );
      const type = feedForward.inputType === "f32" ? "f32" : x.graph.operand;
      const normWeights = weights.post_attention_layernorm;
      const columns = feedForward.readsDirections ? norm.columns?.(normWeights) : undefined;
      const input = columns ? hidden : norm.forward(hidden, normWeights, type);
      return addTo(
        hidden,
        (residual) =>
          feedForward.forward(input, residual, weights[feedForwardName], batch, columns),
      );
    },
  };
}
