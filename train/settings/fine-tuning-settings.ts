import { anySeed, atLeastOne, notNegative, share } from "../../model/number-range.ts";
import {
  choiceSetting,
  type Field,
  flagSetting,
  numberSetting,
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

/** Names of sets, with amounts as text or as YAML has them: `- NAME: 0.2`. */
function setsOf(meaning: string): Field<string[]> {
  const names = textsSetting(meaning);
  const inText = (item: unknown) =>
    typeof item === "object" && item !== null
      ? Object.entries(item).map(([name, amount]) =>
        typeof amount === "number" || typeof amount === "string" ? `${name}: ${amount}` : amount
      )
      : item;
  return { ...names, accept: (value) => names.accept([value].flat().flatMap(inText)) };
}

/** What supervised fine-tuning and DPO are set by alike. */
export const fineTuningSchema = {
  model: {
    path: textSetting(
      "model to start from: folder of a checkpoint, or of a run for its newest one",
    ),
  },
  data: {
    sets: setsOf(
      'embedded (sft: also embedded_english, embedded_english_exam), names of datasets in dataset_info.json, or files; an amount may follow, as in "NAME: 0.2"',
    ),
    dir: textsSetting("folders that hold dataset_info.json and the dataset files"),
    mix: choiceSetting("meaning of the amount: share of that dataset, or its weight among all", [
      "fraction",
      "weight",
    ]),
    name: textSetting("text that replaces {{name}} in identity datasets"),
    author: textSetting("text that replaces {{author}} in identity datasets"),
    heldOut: numberSetting("share of the examples held out for validation", share),
    cutoff: wholeNumberSetting("maximum length of an example, in tokens; longer ones are cut", {
      least: 2,
    }),
    seed: wholeNumberSetting("seed for the choice and the order of the examples", anySeed),
  },
  train: {
    epochs: numberSetting("passes over the training examples", { above: 0 }),
    steps: wholeNumberSetting(
      "number of optimizer steps of the whole run; 0: as train.epochs says",
    ),
    batch: wholeNumberSetting("examples (dpo: pairs) per optimizer step", atLeastOne),
    microBatch: wholeNumberSetting(
      "room for one forward and backward pass: this many examples (dpo: pairs) of the greatest length",
      atLeastOne,
    ),
    packing: flagSetting(
      "put as many examples into a micro-batch as fit; they do not see each other",
    ),
    ...learningRateSettings,
    warmupShare: numberSetting("share of the steps used for linear learning-rate warm-up", share),
    ...optimizerSettings,
    ...headSettings,
    ...deviceSettings,
    validateEvery: wholeNumberSetting("steps between validations", atLeastOne),
    checkpointEvery: wholeNumberSetting("steps between checkpoints", atLeastOne),
    keepCheckpoints: wholeNumberSetting("number of newest checkpoints to keep", atLeastOne),
    ...logSettings,
  },
  lora: {
    rank: wholeNumberSetting(
      "rank of updates to train while the model's own weights stay as they are (LoRA); 0: train all " +
        "weights",
    ),
    alpha: numberSetting("updates are multiplied by alpha / rank; 0: twice the rank", notNegative),
    dropout: numberSetting("share of the inputs of updates that is dropped in training", share),
    targets: textsSetting(
      "linear layers to update: ends of their names, such as q_proj, or all-linear",
    ),
  },
  run: {
    dir: textSetting("folder of the run: settings, checkpoints, metrics, curves"),
  },
};

export type FineTuningSettings = SettingsOf<typeof fineTuningSchema>;
