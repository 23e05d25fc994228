import { isRecord } from "../../data/files/is-record.ts";
import type { BalancedExperts } from "../../kernels/mixture-of-experts/expert-balance.ts";
import { shown } from "../../data/text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Network } from "./architectures/architecture.ts";
import { ARCHITECTURES } from "./architectures/architectures.ts";
import { ConfigReader } from "./config-reader.ts";
import type { FeedForwardKind } from "./feed-forward/feed-forward.ts";
import { FEED_FORWARDS } from "./feed-forward/feed-forwards.ts";

/** What a config is that does not say it. */
const DEFAULT_TYPE = "qwen2";

/** What a published `config.json` describes: a model's sizes, and the layers that it is made of. */
export interface ModelConfig extends Network {
  /** Rows of the table of embeddings. */
  vocabSize: number;
  /** Width of a token's hidden state. */
  hiddenSize: number;
  /** The longest sequence, in tokens. */
  maxPositions: number;
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
 * Reads the contents of a published `config.json`: its `model_type` chooses an architecture, whose
 * layers read the keys that describe them.
 *
 * @param json the parsed file
 * @param where what to call it in errors: its path, or the settings key it came from
 * @param feedForwards the feed-forward layers that `FFN_type` may choose
 * @throws UserError naming key, value and what was expected, for a wrong value and for a choice
 *   that would change the network in a way that is not supported (another kind of model, another
 *   scaling of rope, another activation, ...)
 */
export function parseConfig(
  json: unknown,
  where: string,
  feedForwards: readonly FeedForwardKind[] = FEED_FORWARDS,
): ModelConfig {
  if (!isRecord(json)) throw new UserError(`${where}: expected a JSON object`);
  if (isRecord(json.quantization_config)) {
    const method = shown(json.quantization_config.quant_method);
    throw new UserError(
      `${where}: "quantization_config" says that the weights are quantised (${method}); they cannot ` +
        `be read: use the checkpoint that they were made from`,
    );
  }
  refuseAbsurdCounts(json, where, MOST_LISTED, "more than any model has");
  const types = ARCHITECTURES.flatMap(({ modelTypes }) => modelTypes);
  const type = new ConfigReader(json, where).choice("model_type", types, DEFAULT_TYPE);
  const architecture = ARCHITECTURES.find(({ modelTypes }) => modelTypes.includes(type))!;
  const read = new ConfigReader({ ...architecture.defaults, ...json }, where);

  const hiddenSize = read.count("hidden_size");
  const maxPositions = read.count("max_position_embeddings");
  return {
    normName: "norm",
    embeddingScale: 1,
    headBias: false,
    ...architecture.read(read, { hiddenSize, maxPositions }, feedForwards),
    vocabSize: read.count("vocab_size"),
    hiddenSize,
    maxPositions,
    tieWordEmbeddings: read.choice("tie_word_embeddings", [true, false], false),
    bosId: read.ids("bos_token_id")[0],
    eosIds: read.ids("eos_token_id"),
    source: json,
  };
}

/** Of layers and of experts, and of both together: a model's definition lists each of them. */
const MOST_LISTED = 1_000_000;

/**
 * Refuses counts of layers and experts, and their product, before anything is made of them.
 *
 * @param most what each may be
 * @param reason why more cannot be meant, in words
 * @throws UserError naming the key
 */
export function refuseAbsurdCounts(
  json: Readonly<Record<string, unknown>>,
  where: string,
  most: number,
  reason: string,
): void {
  const counts = Object.entries(json).filter((entry): entry is [string, number] =>
    /^num_hidden_layers$|experts$/.test(entry[0]) && typeof entry[1] === "number"
  );
  const refuse = (what: string) => new UserError(`${where}: ${what}: ${reason}`);
  for (const [key, count] of counts) if (count > most) throw refuse(`"${key}" is ${count}`);
  const layers = Number(json.num_hidden_layers ?? 1);
  const both = counts.find(([key, count]) => key !== "num_hidden_layers" && count * layers > most);
  if (both) throw refuse(`${layers} layers with ${both[1]} experts each ("${both[0]}")`);
}

/** The contents of a `config.json`: what was read, with the model's own vocabulary and marks. */
export function configToJson(config: ModelConfig): Record<string, unknown> {
  const { source } = config;
  const isDefault = (source.model_type ?? DEFAULT_TYPE) === DEFAULT_TYPE;
  const json: Record<string, unknown> = {
    ...isDefault && { architectures: ["Qwen2ForCausalLM"], model_type: DEFAULT_TYPE },
    ...source,
    vocab_size: config.vocabSize,
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

/** The layers that send tokens to experts which a loss keeps evenly used, if there are any. */
export function balancedExperts(
  { layers }: ModelConfig,
): BalancedExperts & { readonly balanceWeight: number } | undefined {
  const routings = layers.map(({ feedForward }) => feedForward.routing)
    .filter((routing) => routing !== undefined && routing.balanceWeight > 0);
  return routings[0] && { ...routings[0], layers: routings.length };
}

/** How many layers divide tokens among slots or experts, and among how many, if any does. */
export function dividingLayers(
  { layers }: ModelConfig,
): { readonly layers: number; readonly ways: number } | undefined {
  const ways = layers.map(({ feedForward }) => feedForward.ways ?? 1).filter((ways) => ways > 1);
  return ways.length > 0 ? { layers: ways.length, ways: ways[0] } : undefined;
}
