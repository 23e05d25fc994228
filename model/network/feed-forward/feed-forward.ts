import type { Tensor } from "../../../kernels/runtime/graph.ts";
import type { Batch } from "../batch.ts";
import type { ConfigKey, ConfigReader } from "../config-reader.ts";
import type { Layer, SharedSizes, Weights } from "../layer.ts";

/** How tokens are sent to experts. */
export interface ExpertRouting {
  /** How many experts there are. */
  readonly experts: number;
  /** How many of them a token goes to. */
  readonly perToken: number;
  /** Weight of the loss that keeps the choice even, beside the loss of the tokens. */
  readonly balanceWeight: number;
}

/** The definition of a feed-forward layer. */
export interface FeedForward<Name extends string = string> extends Layer<Name> {
  /** False if a token's output depends on later tokens of its sequence. */
  readonly causal: boolean;
  /** The shape of what it keeps of each text that is being written; absent if tokens pass alone. */
  readonly memory?: readonly number[];
  /** Among how many slots, or experts, it divides each token; absent where there is one way. */
  readonly ways?: number;
  /** Where it sends each token to some of several experts. */
  readonly routing?: ExpertRouting;
  /** What its input is computed in: always f32, or what matrix products take. */
  readonly inputType: "f32" | "operand";
  /**
   * Whether it divides each token by its length itself. Of an RMSNorm before it, this leaves nothing
   * but the weight, which `forward` then takes instead of a normalised input.
   */
  readonly readsDirections?: boolean;
  /**
   * Floating-point operations of one token's forward pass.
   *
   * @param sequence tokens of a sequence
   */
  flopsPerToken(sequence: number): number;
  /**
   * Records feedForward(x), or residual + feedForward(x).
   *
   * @param x [tokens, hidden], of `inputType`
   * @param residual [tokens, hidden] f32
   * @param columns [hidden] f32: what the columns of x are still to be multiplied by, if it
   *   `readsDirections`
   * @returns [tokens, hidden], f32 with a residual; rows of padding may hold anything finite
   */
  forward(
    x: Tensor,
    residual: Tensor | undefined,
    weights: Weights<Name>,
    batch: Batch,
    columns?: Tensor,
  ): Tensor;
}

/** A kind of feed-forward layer that a config can choose. */
export interface FeedForwardKind {
  /** The value of `FFN_type` that chooses it. */
  readonly name: string;
  /** What it is, in a few words for a help text. */
  readonly meaning: string;
  /** The keys that it reads; pretraining offers them as settings. */
  readonly keys: Readonly<Record<string, ConfigKey>>;
  /** The layer that a config describes. @throws UserError for a missing or wrong value */
  read(read: ConfigReader, sizes: SharedSizes): FeedForward;
}
