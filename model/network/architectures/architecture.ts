import type { TransformerBlock } from "../blocks/transformer-block.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { FeedForwardKind } from "../feed-forward/feed-forward.ts";
import type { SharedSizes } from "../layer.ts";
import type { Norm } from "../norm/norm.ts";

/** What a model is made of, between its ids and its logits. */
export interface Network {
  /** The blocks, first to last. */
  readonly layers: readonly TransformerBlock[];
  /** The normalisation before the head. */
  readonly norm: Norm;
  /** Its published name. */
  readonly normName: string;
  /** By what embeddings are multiplied; 1 in most models. */
  readonly embeddingScale: number;
  /** Whether the head has a bias. */
  readonly headBias: boolean;
}

/** A family of models: what its `config.json` describes. */
export interface Architecture {
  /** The values of `model_type` that choose it. */
  readonly modelTypes: readonly string[];
  /** What transformers takes for keys that a file leaves out, where it is not what others take. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /**
   * The network that a config describes.
   *
   * @param feedForwards the feed-forward layers that Steel-LLM's `FFN_type` may choose
   * @throws UserError for a value that this network does not have
   */
  read(
    read: ConfigReader,
    sizes: SharedSizes,
    feedForwards: readonly FeedForwardKind[],
  ): NetworkParts;
}

/** A network, where what is usual may be left out. */
export type NetworkParts = Pick<Network, "layers" | "norm"> & Partial<Network>;

/** As many blocks as `num_hidden_layers` says, all alike. */
export function readAlike(read: ConfigReader, block: TransformerBlock): TransformerBlock[] {
  return Array(read.count("num_hidden_layers")).fill(block);
}
