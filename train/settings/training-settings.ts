/** Settings that every stage of training has, in the words of its help. */
import { notNegative, positive, share } from "../../model/number-range.ts";
import { choiceSetting, flagSetting, numberSetting } from "./settings-schema.ts";

/** The ends of the learning-rate schedule. */
export const learningRateSettings = {
  learningRate: numberSetting("peak learning rate", positive),
  minimumLearningRate: numberSetting(
    "learning rate at the end of the cosine schedule",
    notNegative,
  ),
};

/** AdamW, and clipping before it. */
export const optimizerSettings = {
  weightDecay: numberSetting("weight decay of AdamW, on all parameters", notNegative),
  beta1: numberSetting("beta1 of AdamW: decay rate of the mean gradient", share),
  beta2: numberSetting("beta2 of AdamW: decay rate of the mean squared gradient", share),
  epsilon: numberSetting("epsilon of AdamW, added to the denominator", positive),
  clip: numberSetting(
    "largest allowed norm of the whole gradient; a larger one is scaled down",
    positive,
  ),
};

/** How the last layer's gradients are computed. */
export const headSettings = {
  headGradient: choiceSetting(
    "what the last layer passes back: from all columns of its logits' gradient, or without those of " +
      "tokens that no row of a block makes likely",
    ["whole", "filtered"],
  ),
};

/** What else a run writes of what it measures. */
export const logSettings = {
  tensorboard: flagSetting("also write what is measured as event files for TensorBoard"),
};

/** What computes, and in which numbers. */
export const deviceSettings = {
  precision: choiceSetting("number format; auto is mixed on a GPU with f16, else f32", [
    "auto",
    "f32",
    "mixed",
  ]),
  exchange: choiceSetting(
    "with several GPUs, how gradients and weights travel between them: as they are, rounded to " +
      "bfloat16, or to 8 bits with a scale for each 128 numbers",
    ["f32", "bf16", "int8"],
  ),
  gpu: choiceSetting(
    "WebGPU implementation; auto is dawn on a GPU with tensor cores, else deno",
    [
      "auto",
      "dawn",
      "deno",
    ],
  ),
};
