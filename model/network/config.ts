import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isInRange, positive, rangeInWords } from "../number-range.ts";

/** The sizes and choices that define a model: what a published `config.json` says, by our names. */
export interface ModelConfig {
  vocabSize: number;
  hiddenSize: number;
  /** `intermediate_size`; an expert's inner width is `innerSize`. */
  intermediateSize: number;
  layers: number;
  heads: number;
  keyValueHeads: number;
  /** hiddenSize / heads; always even, since rope turns pairs. */
  headDim: number;
  /** `FFN_type`: Soft MoE over several experts, or one expert without routing. */
  feedForward: "softmoe_v3" | "raw";
  /** `mlp_type`: SwiGLU on both layers of an expert, or the usual SwiGLU. */
  expert: "senet" | "raw";
  experts: number;
  slotsPerExpert: number;
  mlpDivRatio: number;
  /** Inner width of one expert: floor(intermediateSize / mlpDivRatio). */
  innerSize: number;
  ropeTheta: number;
  rmsNormEpsilon: number;
  maxPositions: number;
  tieWordEmbeddings: boolean;
  bosId?: number;
  /** Ids that end a text; empty when the file names none. */
  eosIds: number[];
  /** Every key of the file as it was read, so that writing it back loses nothing. */
  source: Record<string, unknown>;
}

/**
 * Reads the contents of a published Steel-LLM or Qwen2 `config.json`.
 *
 * @param json the parsed file
 * @param where what to call it in errors: its path, or the settings key it came from
 * @throws UserError naming key, value and what was expected, for a wrong value and for a choice
 *   that would change the network in a way that this one does not have (sliding windows, scaled
 *   rope, another activation, ...)
 */
export function parseConfig(json: unknown, where: string): ModelConfig {
  if (!isRecord(json)) throw new UserError(`${where}: expected a JSON object`);
  const read = new ConfigReader(json, where);

  read.only("model_type", ["qwen2", "steel"]);
  read.only("hidden_act", ["silu"]);
  read.only("use_sliding_window", [false]);
  read.only("attention_dropout", [0]);
  read.only("partial_rotary_factor", [1]);

  const feedForward = read.choice("FFN_type", ["softmoe_v3", "raw"], "raw");
  const softMoE = feedForward === "softmoe_v3";
  const hiddenSize = read.count("hidden_size");
  const heads = read.count("num_attention_heads");
  const keyValueHeads = read.count("num_key_value_heads", heads);
  const intermediateSize = read.count("intermediate_size");
  const mlpDivRatio = read.count("mlp_div_ratio", softMoE ? undefined : 1);
  const layers = read.count("num_hidden_layers");

  if (hiddenSize % heads !== 0) {
    read.refuse("hidden_size", `a multiple of num_attention_heads (${heads})`);
  }
  const headDim = hiddenSize / heads;
  if (headDim % 2 !== 0) {
    read.refuse("hidden_size", `an even number of values for each of the ${heads} attention heads`);
  }
  read.only("head_dim", [headDim]);
  if (heads % keyValueHeads !== 0) {
    read.refuse("num_key_value_heads", `a divisor of num_attention_heads (${heads})`);
  }
  if (intermediateSize < mlpDivRatio) {
    read.refuse("mlp_div_ratio", `at most intermediate_size (${intermediateSize})`);
  }
  checkLayerTypes(read, layers);

  return {
    vocabSize: read.count("vocab_size"),
    hiddenSize,
    intermediateSize,
    layers,
    heads,
    keyValueHeads,
    headDim,
    feedForward,
    expert: read.choice("mlp_type", ["senet", "raw"], softMoE ? undefined : "raw"),
    experts: read.count("n_experts", softMoE ? undefined : 1),
    slotsPerExpert: read.count("slots_per_expert", 1),
    mlpDivRatio,
    innerSize: Math.floor(intermediateSize / mlpDivRatio),
    ropeTheta: ropeTheta(read),
    rmsNormEpsilon: read.positive("rms_norm_eps", 1e-6),
    maxPositions: read.count("max_position_embeddings", 32768),
    tieWordEmbeddings: read.choice("tie_word_embeddings", [true, false], false),
    bosId: read.ids("bos_token_id")[0],
    eosIds: read.ids("eos_token_id"),
    source: json,
  };
}

/** The contents of a `config.json`: the keys that were read, with the model's own values. */
export function configToJson(config: ModelConfig): Record<string, unknown> {
  const { source } = config;
  const json: Record<string, unknown> = {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    hidden_act: "silu",
    ...source,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    FFN_type: config.feedForward,
    mlp_type: config.expert,
    n_experts: config.experts,
    slots_per_expert: config.slotsPerExpert,
    mlp_div_ratio: config.mlpDivRatio,
    rms_norm_eps: config.rmsNormEpsilon,
    max_position_embeddings: config.maxPositions,
    tie_word_embeddings: config.tieWordEmbeddings,
  };
  if (isRecord(source.rope_parameters)) {
    json.rope_parameters = { ...source.rope_parameters, rope_theta: config.ropeTheta };
  }
  if ("rope_theta" in source || !isRecord(source.rope_parameters)) {
    json.rope_theta = config.ropeTheta;
  }
  if (config.bosId !== undefined) json.bos_token_id = config.bosId;
  if (config.eosIds.length > 0) {
    const list = config.eosIds.length > 1 || Array.isArray(source.eos_token_id);
    json.eos_token_id = list ? config.eosIds : config.eosIds[0];
  }
  return json;
}

/** Newer files list each layer's kind of attention; here every layer attends to everything before. */
function checkLayerTypes(read: ConfigReader, layers: number): void {
  const types = read.value("layer_types");
  if (types === undefined) return;
  if (!Array.isArray(types) || types.some((type) => type !== "full_attention")) {
    read.refuse("layer_types", `"full_attention" for every layer`);
  }
  if (types.length !== layers) {
    read.refuse("layer_types", `one entry for each of the ${layers} layers`);
  }
}

/** The base of rope, from `rope_theta` or the newer `rope_parameters`; scaled rope is refused. */
function ropeTheta(read: ConfigReader): number {
  const own = read.positive("rope_theta", 10000);
  let theta = own;
  for (const key of ["rope_scaling", "rope_parameters"]) {
    const rope = read.value(key);
    if (rope === undefined) continue;
    const kind = isRecord(rope) ? rope.rope_type ?? rope.type ?? "default" : undefined;
    if (!isRecord(rope) || kind !== "default" || (rope.partial_rotary_factor ?? 1) !== 1) {
      read.refuse(key, `rope_type "default": scaled rope is not supported`);
    }
    if (rope.rope_theta === undefined) continue;
    if (!isInRange(rope.rope_theta, positive)) {
      read.refuse(key, `rope_theta ${rangeInWords(positive)}`);
    }
    if (read.value("rope_theta") !== undefined && rope.rope_theta !== own) {
      read.refuse(key, `the same rope_theta as the key "rope_theta" (${own})`);
    }
    theta = rope.rope_theta;
  }
  return theta;
}

/** Typed access to the keys of one file; null counts as absent, as it does in Hugging Face. */
class ConfigReader {
  constructor(readonly json: Record<string, unknown>, readonly where: string) {}

  value(key: string): unknown {
    return this.json[key] ?? undefined;
  }

  refuse(key: string, expected: string): never {
    const value = this.value(key);
    throw new UserError(
      value === undefined
        ? `${this.where}: the key "${key}" is missing; expected ${expected}`
        : `${this.where}: "${key}" is ${JSON.stringify(value)}; expected ${expected}`,
    );
  }

  /** A whole number of at least one. */
  count(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
      this.refuse(key, "a whole number of at least 1");
    }
    return value;
  }

  positive(key: string, fallback: number): number {
    const value = this.value(key) ?? fallback;
    if (!isInRange(value, positive)) this.refuse(key, rangeInWords(positive));
    return value;
  }

  choice<const T>(key: string, allowed: readonly T[], fallback?: T): T {
    const value = this.value(key) ?? fallback;
    const found = allowed.find((one) => one === value);
    if (found === undefined) this.refuse(key, listOf(allowed));
    return found;
  }

  /** A key that may be absent, but whose only supported values are these. */
  only(key: string, allowed: readonly unknown[]): void {
    if (this.value(key) !== undefined) this.choice(key, allowed);
  }

  /** A token id, a list of them, or nothing. */
  ids(key: string): number[] {
    const value = this.value(key) ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
        this.refuse(key, "a token id or a list of token ids");
      }
      return id;
    });
  }
}

function listOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(" or ");
}
