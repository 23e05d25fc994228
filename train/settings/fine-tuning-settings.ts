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
    path: text("checkpoint to start from: its folder, or that of a run"),
  },
  data: {
    sets: setsOf('embedded, sets of dataset_info.json or files, each as "NAME" or "NAME: 0.2"'),
    dir: texts("folders of dataset_info.json and of the sets' files"),
    mix: oneOf("what the number behind a set is", ["fraction", "weight"]),
    name: text("what {{name}} of identity sets becomes"),
    author: text("what {{author}} of identity sets becomes"),
    heldOut: number("share of the examples kept for validation", share),
    cutoff: wholeNumber("the most tokens of an example", { least: 2 }),
    seed: wholeNumber("seed of the choice and order of the examples", anySeed),
  },
  train: {
    epochs: number("passes over the examples", { above: 0 }),
    steps: wholeNumber("optimizer steps of the whole run; 0 for that many epochs"),
    batch: wholeNumber("examples of a step", atLeastOne),
    microBatch: wholeNumber("examples of the longest length computed at once", atLeastOne),
    packing: flag("fill a micro-batch with as many examples as fit"),
    learningRate: number("peak learning rate", positive),
    minimumLearningRate: number("learning rate at the end of the cosine", notNegative),
    warmupShare: number("share of the steps in which the learning rate rises", share),
    weightDecay: number("AdamW's decay, on all parameters", notNegative),
    beta1: number("AdamW's memory of the gradient", share),
    beta2: number("AdamW's memory of the squared gradient", share),
    epsilon: number("added to AdamW's denominator", positive),
    clip: number("largest norm of all gradients together", positive),
    precision: oneOf("arithmetic; auto is mixed on a GPU with f16", ["auto", "f32", "mixed"]),
    gpu: oneOf("WebGPU implementation", ["auto", "dawn", "deno"]),
    validateEvery: wholeNumber("steps between validations", atLeastOne),
    checkpointEvery: wholeNumber("steps between checkpoints", atLeastOne),
    keepCheckpoints: wholeNumber("newest checkpoints to keep", atLeastOne),
  },
  run: {
    dir: text("folder for checkpoints, metrics and curves"),
  },
};

export type FineTuningSettings = SettingsOf<typeof fineTuningSchema>;
