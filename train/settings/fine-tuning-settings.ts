import { anySeed, atLeastOne, notNegative, positive, share } from "../../model/number-range.ts";
import {
  type Field,
  flag,
  number,
  oneOf,
  type SettingsOf,
  text,
  texts,
  wholeNumber,
} from "./settings-schema.ts";

/** Names of sets, with amounts as text or as YAML has them: `- NAME: 0.2`. */
function setsOf(meaning: string): Field<string[]> {
  const names = texts(meaning);
  const inText = (item: unknown) =>
    typeof item === "object" && item !== null
      ? Object.entries(item).map(([name, amount]) => `${name}: ${amount}`)
      : item;
  return { ...names, accept: (value) => names.accept([value].flat().flatMap(inText)) };
}

/** What supervised fine-tuning and DPO are set by alike. */
export const fineTuningSchema = {
  model: {
    path: text("model to start from: folder of a checkpoint, or of a run for its newest one"),
  },
  data: {
    sets: setsOf(
      'embedded, names of datasets in dataset_info.json, or files; an amount may follow, as in "NAME: 0.2"',
    ),
    dir: texts("folders that hold dataset_info.json and the dataset files"),
    mix: oneOf("meaning of the amount: share of that dataset, or its weight among all", [
      "fraction",
      "weight",
    ]),
    name: text("text that replaces {{name}} in identity datasets"),
    author: text("text that replaces {{author}} in identity datasets"),
    heldOut: number("share of the examples held out for validation", share),
    cutoff: wholeNumber("maximum length of an example, in tokens; longer ones are cut", {
      least: 2,
    }),
    seed: wholeNumber("seed for the choice and the order of the examples", anySeed),
  },
  train: {
    epochs: number("passes over the training examples", { above: 0 }),
    steps: wholeNumber("number of optimizer steps of the whole run; 0: as train.epochs says"),
    batch: wholeNumber("examples (dpo: pairs) per optimizer step", atLeastOne),
    microBatch: wholeNumber(
      "room for one forward and backward pass: this many examples (dpo: pairs) of the greatest length",
      atLeastOne,
    ),
    packing: flag("put as many examples into a micro-batch as fit; they do not see each other"),
    learningRate: number("peak learning rate", positive),
    minimumLearningRate: number("learning rate at the end of the cosine schedule", notNegative),
    warmupShare: number("share of the steps used for linear learning-rate warm-up", share),
    weightDecay: number("weight decay of AdamW, on all parameters", notNegative),
    beta1: number("beta1 of AdamW: decay rate of the mean gradient", share),
    beta2: number("beta2 of AdamW: decay rate of the mean squared gradient", share),
    epsilon: number("epsilon of AdamW, added to the denominator", positive),
    clip: number(
      "largest allowed norm of the whole gradient; a larger one is scaled down",
      positive,
    ),
    precision: oneOf("number format; auto is mixed on a GPU with f16, else f32", [
      "auto",
      "f32",
      "mixed",
    ]),
    gpu: oneOf("WebGPU implementation; auto is dawn on a GPU with tensor cores, else deno", [
      "auto",
      "dawn",
      "deno",
    ]),
    validateEvery: wholeNumber("steps between validations", atLeastOne),
    checkpointEvery: wholeNumber("steps between checkpoints", atLeastOne),
    keepCheckpoints: wholeNumber("number of newest checkpoints to keep", atLeastOne),
  },
  run: {
    dir: text("folder of the run: settings, checkpoints, metrics, curves"),
  },
};

export type FineTuningSettings = SettingsOf<typeof fineTuningSchema>;
