import {
  anySeed,
  atLeastOne,
  notNegative,
  positive,
  properShare,
  share,
  someShare,
} from "../../model/number-range.ts";
import {
  flag,
  number,
  oneOf,
  type Schema,
  type SettingsOf,
  text,
  texts,
  wholeNumber,
} from "./settings-schema.ts";
import { loadSettings, settingsHelp } from "./settings.ts";

/** Every setting of pretraining; the values are in `pretrain.yaml`. */
const pretrainSchema = {
  model: {
    hidden_size: wholeNumber("width of the residual stream", atLeastOne),
    num_hidden_layers: wholeNumber("transformer blocks", atLeastOne),
    num_attention_heads: wholeNumber("attention heads; divides hidden_size", atLeastOne),
    num_key_value_heads: wholeNumber("key and value heads; divides the above", atLeastOne),
    intermediate_size: wholeNumber("width inside the feed-forward layer", atLeastOne),
    FFN_type: oneOf("Soft MoE over experts, or a single expert", ["softmoe_v3", "raw"]),
    mlp_type: oneOf("expert with SwiGLU on both layers, or the usual one", ["senet", "raw"]),
    n_experts: wholeNumber("experts of a Soft MoE layer", atLeastOne),
    slots_per_expert: wholeNumber("slots of each expert", atLeastOne),
    mlp_div_ratio: wholeNumber("divides intermediate_size inside each expert", atLeastOne),
    rope_theta: number("base of the rotary position embedding", positive),
    rms_norm_eps: number("added to the mean square inside RMSNorm", positive),
    max_position_embeddings: wholeNumber("longest text the model is meant for", atLeastOne),
  },
  data: {
    source: texts("embedded, files that deno task data reads, or folders of shards"),
    append: texts("folders of shards to add to a run that goes on, mixed with what it has left"),
    tokens: wholeNumber("tokens to take from the source; 0 takes all of a file; shards: all"),
    heldOut: number(
      "share of the documents kept for validation; of shards, every (1 / share)th block, at most half",
      properShare,
    ),
    sequence: wholeNumber("tokens the model sees at once", atLeastOne),
    seed: wholeNumber("seed of the order of the blocks", anySeed),
    vocabulary: wholeNumber("most frequent tokens to keep of Qwen's; 0 keeps all, as shards need"),
  },
  train: {
    steps: wholeNumber("optimizer steps of the whole run", atLeastOne),
    microBatch: wholeNumber("sequences computed at once", atLeastOne),
    accumulation: wholeNumber("micro-batches a step", atLeastOne),
    learningRate: number("peak learning rate", positive),
    minimumLearningRate: number("learning rate at the end of the cosine", notNegative),
    warmupSteps: wholeNumber("steps of linear warm-up"),
    weightDecay: number("AdamW's decay, on all parameters", notNegative),
    beta1: number("AdamW's memory of the gradient", share),
    beta2: number("AdamW's memory of the squared gradient", share),
    epsilon: number("added to AdamW's denominator", positive),
    clip: number("largest norm of all gradients together", positive),
    seed: wholeNumber("seed of the initial weights", anySeed),
    recompute: flag("compute layers again for their gradients: less memory, more time"),
    precision: oneOf("arithmetic; auto is mixed on a GPU with f16", ["auto", "f32", "mixed"]),
    gpu: oneOf("WebGPU implementation", ["auto", "dawn", "deno"]),
    validateEvery: wholeNumber("steps between validations", atLeastOne),
    validationBlocks: wholeNumber("held-out blocks in a validation; 0 takes all"),
    checkpointEvery: wholeNumber("steps between checkpoints", atLeastOne),
    keepCheckpoints: wholeNumber("newest checkpoints to keep", atLeastOne),
  },
  run: {
    dir: text("folder for checkpoints, metrics and the loss curve"),
  },
  sample: {
    prompts: texts("beginnings that the trained model goes on from"),
    tokens: wholeNumber("tokens to add to each; 0 for no samples"),
    temperature: number("divides the logits; 0 takes the likeliest token", notNegative),
    topP: number("likeliest tokens that together have this probability", someShare),
    topK: wholeNumber("number of likeliest tokens to draw from; 0 for all"),
    repetitionPenalty: number("divides the logits of tokens already there", positive),
    seed: wholeNumber("seed of the draws", anySeed),
  },
} satisfies Schema;

export type PretrainSettings = SettingsOf<typeof pretrainSchema>;

const defaults = new URL("../pretrain.yaml", import.meta.url);

/** The settings of a pretraining run: see {@linkcode loadSettings}. */
export function loadPretrainSettings(argv: string[]): Promise<PretrainSettings> {
  return loadSettings(pretrainSchema, defaults, argv);
}

/** What `--help` lists. */
export function pretrainHelp(): Promise<string> {
  return settingsHelp(pretrainSchema, defaults);
}
