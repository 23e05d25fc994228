import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readQwen2Attention } from "./attention/qwen2-attention.ts";
import { TransformerBlock } from "./transformer-block.ts";
import { ConfigReader } from "./config-reader.ts";
import type { FeedForwardKind } from "./feed-forward/feed-forward.ts";
import { FEED_FORWARDS, readFeedForward } from "./feed-forward/feed-forwards.ts";
import type { Norm } from "./norm/norm.ts";
import { readRmsNorm } from "./norm/rms-norm.ts";

/** What a published `config.json` describes: a model's sizes, and the layers that it is made of. */
export interface ModelConfig {
  /** Rows of the table of embeddings. */
  vocabSize: number;
  /** Width of a token's hidden state. */
  hiddenSize: number;
  /** The longest sequence, in tokens. */
  maxPositions: number;
  /** The blocks, first to last. */
  layers: readonly TransformerBlock[];
  /** The normalisation before the head. */
  norm: Norm;
  /** Whether the head reads the table of embeddings. */
  tieWordEmbeddings: boolean;
  /** The id that begins a text, if the file names one. */
  bosId?: number;
  /** Ids that end a text; empty when the file names none. */
  eosIds: number[];
  /** Every key of the file as it was read, so that writing it back loses nothing. */
  source: Record<string, unknown>;
}

/**
 * Reads the contents of a published Steel-LLM or Qwen2 `config.json`: each layer's definition reads
 * the keys that describe it.
 *
 * @param json the parsed file
 * @param where what to call it in errors: its path, or the settings key it came from
 * @param feedForwards the feed-forward layers that `FFN_type` may choose
 * @throws UserError naming key, value and what was expected, for a wrong value and for a choice
 *   that would change the network in a way that this one does not have (sliding windows, scaled
 *   rope, another activation, ...)
 */
export function parseConfig(
  json: unknown,
  where: string,
  feedForwards: readonly FeedForwardKind[] = FEED_FORWARDS,
): ModelConfig {
  if (!isRecord(json)) throw new UserError(`${where}: expected a JSON object`);
  const read = new ConfigReader(json, where);
  read.only("model_type", ["qwen2", "steel"]);

  const hiddenSize = read.count("hidden_size");
  const maxPositions = read.count("max_position_embeddings", 32768);
  const sizes = { hiddenSize, maxPositions };
  const norm = readRmsNorm(read, sizes);
  const feedForward = readFeedForward(read, sizes, feedForwards);
  const block = new TransformerBlock(readQwen2Attention(read, sizes), feedForward, norm);
  return {
    vocabSize: read.count("vocab_size"),
    hiddenSize,
    maxPositions,
    layers: Array(read.count("num_hidden_layers")).fill(block),
    norm,
    tieWordEmbeddings: read.choice("tie_word_embeddings", [true, false], false),
    bosId: read.ids("bos_token_id")[0],
    eosIds: read.ids("eos_token_id"),
    source: json,
  };
}

/** The contents of a `config.json`: the keys that were read, with the model's own values. */
export function configToJson(config: ModelConfig): Record<string, unknown> {
  const { source, layers } = config;
  const json: Record<string, unknown> = {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    ...source,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    num_hidden_layers: layers.length,
    ...layers[0].json,
    max_position_embeddings: config.maxPositions,
    tie_word_embeddings: config.tieWordEmbeddings,
  };
  if (config.bosId !== undefined) json.bos_token_id = config.bosId;
  if (config.eosIds.length > 0) {
    const list = config.eosIds.length > 1 || Array.isArray(source.eos_token_id);
    json.eos_token_id = list ? config.eosIds : config.eosIds[0];
  }
  return json;
}

/** Whether no token's logits depend on later tokens of its sequence. */
export function isCausal({ layers }: ModelConfig): boolean {
  return layers.every(({ feedForward }) => feedForward.causal);
}
