import { FEED_FORWARDS, feedForwardKeys } from "../../model/network/feed-forward/feed-forwards.ts";
import {
  anySeed,
  anyShare,
  atLeastOne,
  notNegative,
  positive,
  properShare,
} from "../../model/number-range.ts";
import {
  flagSetting,
  type Given,
  layerSettings,
  numberSetting,
  type Schema,
  type SettingsOf,
  textSetting,
  textsSetting,
  wholeNumberSetting,
} from "./settings-schema.ts";
import {
  deviceSettings,
  headSettings,
  learningRateSettings,
  logSettings,
  optimizerSettings,
} from "./training-settings.ts";
import { loadSettings, settingsHelp, settingsOver } from "./settings.ts";

/** A network that is made anew, from random weights. */
const network = {
  hidden_size: wholeNumberSetting("size of a token's hidden state", atLeastOne),
  num_hidden_layers: wholeNumberSetting("number of transformer layers", atLeastOne),
  num_attention_heads: wholeNumberSetting(
    "number of attention heads; must divide hidden_size",
    atLeastOne,
  ),
  num_key_value_heads: wholeNumberSetting(
    "number of key and value heads; must divide num_attention_heads",
    atLeastOne,
  ),
  ...layerSettings(feedForwardKeys(FEED_FORWARDS)),
  rope_theta: numberSetting("base of the rotary position embedding (RoPE)", positive),
  rms_norm_eps: numberSetting("epsilon of RMSNorm, added to the mean square", positive),
  max_position_embeddings: wholeNumberSetting(
    "longest sequence the model accepts, in tokens",
    atLeastOne,
  ),
};

/** Every setting of pretraining; the values are in `pretrain.yaml`. */
export const pretrainSchema = {
  model: {
    path: {
      ...textSetting(
        "checkpoint to train further, or run for its newest one; it brings its network and tokenizer, " +
          "so that data.vocabulary and the other settings of model cannot be given",
      ),
      isOptional: true,
      replaces: [...Object.keys(network).map((key) => `model.${key}`), "data.vocabulary"],
    },
    ...network,
  },
  data: {
    source: textsSetting(
      "training text: embedded, files (.jsonl, .txt, .parquet, also .gz or .zst), folders of such " +
        "files, or folders of shards from deno task data",
    ),
    append: textsSetting(
      "folders of shards to add when a run on shards is resumed; their blocks are mixed with those " +
        "the epoch has left",
    ),
    tokens: wholeNumberSetting(
      "tokens to take from the text; 0 takes all; shards are always taken whole",
    ),
    heldOut: numberSetting(
      "share of the documents held out for validation; with shards, share of the blocks, at most 0.5",
      properShare,
    ),
    sequence: wholeNumberSetting("sequence length, in tokens", atLeastOne),
    seed: wholeNumberSetting("seed for the order of the training blocks", anySeed),
    vocabulary: wholeNumberSetting(
      "keep this many of the most frequent tokens of Qwen's vocabulary; 0 keeps all, which shards " +
        "need",
    ),
    cacheDir: textSetting("folder in which the tokens of a text are kept for the next run"),
  },
  train: {
    steps: wholeNumberSetting("number of optimizer steps of the whole run", atLeastOne),
    microBatch: wholeNumberSetting("sequences in one forward and backward pass", atLeastOne),
    accumulation: wholeNumberSetting(
      "micro-batches per optimizer step (gradient accumulation), of all GPUs together",
      atLeastOne,
    ),
    ...learningRateSettings,
    warmupSteps: wholeNumberSetting("steps of linear learning-rate warm-up"),
    ...optimizerSettings,
    seed: wholeNumberSetting("seed for the initial weights", anySeed),
    recompute: flagSetting(
      "compute each layer's activations again in the backward pass: less memory, more time",
    ),
    ...headSettings,
    ...deviceSettings,
    validateEvery: wholeNumberSetting("steps between validations", atLeastOne),
    validationBlocks: wholeNumberSetting("held-out blocks used in each validation; 0 uses all"),
    checkpointEvery: wholeNumberSetting("steps between checkpoints", atLeastOne),
    keepCheckpoints: wholeNumberSetting("number of newest checkpoints to keep", atLeastOne),
    ...logSettings,
  },
  run: {
    dir: textSetting("folder of the run: settings, checkpoints, metrics, loss curve, samples"),
  },
  sample: {
    prompts: textsSetting("texts that the trained model continues"),
    tokens: wholeNumberSetting("tokens to write for each prompt; 0 writes no samples"),
    temperature: numberSetting(
      "sampling temperature; 0 always takes the most likely token",
      notNegative,
    ),
    topP: numberSetting(
      "sample from the most likely tokens that together have this probability",
      anyShare,
    ),
    topK: wholeNumberSetting("sample from this many of the most likely tokens; 0 for all"),
    repetitionPenalty: numberSetting(
      "makes tokens of the text so far less likely; 1 is off",
      positive,
    ),
    seed: wholeNumberSetting("seed for sampling", anySeed),
  },
} satisfies Schema;

/** All settings of pretraining, by section and key. */
export type PretrainSettings = SettingsOf<typeof pretrainSchema> & {
  /** With the keys of the feed-forward layer that is chosen. */
  model: { [key: string]: number | string };
};

const defaults = new URL("../pretrain.yaml", import.meta.url);

/**
 * The settings of `pretrain.yaml`, but for those given.
 *
 * @throws UserError naming the setting, if it is unknown, mistyped or out of range
 */
export function pretrainSettings(given: Given<PretrainSettings>): Promise<PretrainSettings> {
  return settingsOver(pretrainSchema, defaults, given);
}

/** The same by command-line arguments and the files that they name: see `loadSettings`. */
export function loadPretrainSettings(argv: string[]): Promise<PretrainSettings> {
  return loadSettings(pretrainSchema, defaults, argv);
}

/** The options that `--help` lists. */
export function pretrainHelp(): Promise<string> {
  return settingsHelp(pretrainSchema, defaults);
}
