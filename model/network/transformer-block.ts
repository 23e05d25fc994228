import type { Tensor } from "../../kernels/runtime/graph.ts";
import type { Attend, Attention } from "./attention/attention.ts";
import type { Batch } from "./batch.ts";
import type { FeedForward } from "./feed-forward/feed-forward.ts";
import { type Layer, type Parameter, type Weights, withPrefix } from "./layer.ts";
import type { Norm } from "./norm/norm.ts";

/** The layers of a block by their published names. */
export type BlockLayer = "self_attn" | "mlp" | "input_layernorm" | "post_attention_layernorm";

/** The order of Hugging Face's checkpoints. */
const PUBLISHED: readonly BlockLayer[] = [
  "self_attn",
  "mlp",
  "input_layernorm",
  "post_attention_layernorm",
];

/** The tensors of one block, by layer. */
export type BlockWeights = Readonly<Record<BlockLayer, Weights>>;

/**
 * The definition of a decoder block with a norm before each layer, as Llama and Qwen2 have it:
 * h = x + attention(norm(x)), y = h + feedForward(norm(h)).
 */
export class TransformerBlock {
  /** Its layers by their published names, in the order in which a token passes them. */
  readonly layers: Readonly<Record<BlockLayer, Layer>>;

  /**
   * A block of these layers.
   *
   * @param norm the normalisation before each of the two, each time with weights of its own
   */
  constructor(
    readonly attention: Attention,
    readonly feedForward: FeedForward,
    readonly norm: Norm,
  ) {
    this.layers = {
      input_layernorm: norm,
      self_attn: attention,
      post_attention_layernorm: norm,
      mlp: feedForward,
    };
  }

  /** Its parameters in the order of Hugging Face's checkpoints, names without the block's prefix. */
  get parameters(): Parameter[] {
    return PUBLISHED.flatMap((name) => withPrefix(`${name}.`, this.layers[name].parameters));
  }

  /** The keys of `config.json` that describe it. */
  get json(): Record<string, unknown> {
    return { ...this.attention.json, ...this.feedForward.json, ...this.norm.json };
  }

  /**
   * Floating-point operations of one token's forward pass.
   *
   * @param sequence tokens of a sequence
   */
  flopsPerToken(sequence: number): number {
    return this.attention.flopsPerToken(sequence) + this.feedForward.flopsPerToken(sequence);
  }

  /**
   * Records the block.
   *
   * @param x [tokens, hidden] f32
   * @returns [tokens, hidden] f32
   */
  forward(x: Tensor, weights: BlockWeights, batch: Batch, attend: Attend): Tensor {
    const { attention, feedForward, norm } = this;
    const normed = norm.forward(x, weights.input_layernorm);
    const hidden = attention.forward(normed, x, weights.self_attn, batch, attend);

    const type = feedForward.inputType === "f32" ? "f32" : hidden.graph.operand;
    const input = norm.forward(hidden, weights.post_attention_layernorm, type);
    return feedForward.forward(input, hidden, weights.mlp, batch);
  }
}
