/** `adapter_config.json`, which describes an adapter as PEFT 0.21 writes and reads it. */
import { isRecord } from "../../data/files/is-record.ts";
import { formatJson, parseObject } from "../../data/text/json.ts";
import { shown } from "../../data/text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { atLeastOne, isInRange, positive, rangeInWords } from "../number-range.ts";
import type { ModuleUpdate } from "../network/adaptation.ts";

/** The file that describes an adapter. */
export const ADAPTER_CONFIG_FILE = "adapter_config.json";

/** What a new adapter is made by. */
export interface LoraOptions {
  /** Rows of A, columns of B. */
  readonly rank: number;
  /** The updates are multiplied by alpha / rank. */
  readonly alpha: number;
  /** The share of an update's inputs that are dropped in training. */
  readonly dropout: number;
}

/** What the file says that changes numbers. */
export interface AdapterConfig {
  /** The folder, or the name on a hub, of the model that the adapter was made for. */
  readonly base?: string;
  /** The rank of a layer's update, and its scale. */
  update(module: string, rank: number): ModuleUpdate;
}

/** Keys that change nothing of an adapter that is loaded, whatever they hold. */
const WITHOUT_EFFECT = new Set([
  ...["peft_type", "peft_version", "task_type", "auto_mapping", "inference_mode", "revision"],
  ...["base_model_name_or_path", "lora_dropout", "runtime_config", "loftq_config", "eva_config"],
  ...["corda_config", "lora_ga_config", "megatron_core", "qalora_group_size"],
  // The tensors of the file say which layers have an update.
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern"],
  // These are read.
  ...["r", "lora_alpha", "alpha_pattern", "use_rslora", "init_lora_weights", "bias"],
]);

/** Ways to begin that leave the base model's weights as they are. */
const PLAIN_BEGINNINGS = [true, false, "gaussian", "eva", "orthogonal"];

/**
 * Reads an `adapter_config.json`.
 *
 * @param path what to call it in errors
 * @throws UserError for another kind of adapter than LoRA, and for each key that would change what is
 *   computed in a way that is not supported
 */
export function parseAdapterConfig(text: string, path: string): AdapterConfig {
  const json = parseObject(text, path);
  const refuse = (key: string, expected: string) =>
    new UserError(`${path}: "${key}" is ${shown(json[key])}; expected ${expected}`);
  if (json.peft_type !== "LORA") throw refuse("peft_type", `"LORA": no other kind is supported`);
  const { r, lora_alpha: alpha } = json;
  if (!isInRange(r, atLeastOne)) throw refuse("r", rangeInWords(atLeastOne));
  if (!isInRange(alpha, positive)) throw refuse("lora_alpha", rangeInWords(positive));
  if (!PLAIN_BEGINNINGS.includes((json.init_lora_weights ?? true) as boolean | string)) {
    throw refuse(
      "init_lora_weights",
      `${
        PLAIN_BEGINNINGS.map((each) => JSON.stringify(each)).join(", ")
      }: others change the base ` +
        `model's own weights`,
    );
  }
  if ((json.bias ?? "none") !== "none") throw refuse("bias", `"none": biases cannot be adapted`);
  for (const [key, value] of Object.entries(json)) {
    if (!WITHOUT_EFFECT.has(key) && !isEmpty(value)) throw refuse(key, "null: it is not supported");
  }
  const ranks = patternOf(json, "rank_pattern", refuse);
  const alphas = patternOf(json, "alpha_pattern", refuse);
  return {
    base: typeof json.base_model_name_or_path === "string"
      ? json.base_model_name_or_path
      : undefined,
    update(module, rank) {
      const expected = ranks(module) ?? r;
      if (rank !== expected) {
        throw new UserError(
          `${path}: it gives ${module} the rank ${expected}, but its tensors have the rank ${rank}`,
        );
      }
      const own = alphas(module) ?? alpha;
      return { rank, scale: own / (json.use_rslora === true ? Math.sqrt(rank) : rank) };
    },
  };
}

/**
 * The contents of the file for a new adapter.
 *
 * @param base folder of the model that it is made for
 * @param targets the last parts of the names of the layers that have an update
 */
export function adapterConfigJson(
  { rank, alpha, dropout }: LoraOptions,
  base: string,
  targets: readonly string[],
): string {
  return formatJson({
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base,
    bias: "none",
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_bias: false,
    lora_dropout: dropout,
    modules_to_save: null,
    peft_type: "LORA",
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules: targets,
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: false,
  });
}

/** A number of some layers: the first of a pattern's keys that is the end of the layer's name. */
function patternOf(
  json: Record<string, unknown>,
  key: string,
  refuse: (key: string, expected: string) => UserError,
): (module: string) => number | undefined {
  const pattern = json[key] ?? {};
  const names = isRecord(pattern) ? Object.entries(pattern) : undefined;
  const isPlain = names?.every(([name, value]) =>
    /^[\w.]+$/.test(name) && isInRange(value, positive)
  );
  if (!isPlain) throw refuse(key, "numbers by the names of layers, without wildcards");
  return (module) => names!.find(([name]) => isNamed(module, name))?.[1] as number | undefined;
}

/** Whether a name means a layer: its whole name, or the end of it. */
export function isNamed(module: string, name: string): boolean {
  return module === name || module.endsWith(`.${name}`);
}

function isEmpty(value: unknown): boolean {
  return value === null || value === false ||
    (typeof value === "object" && Object.keys(value).length === 0);
}
