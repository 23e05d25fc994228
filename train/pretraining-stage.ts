import type { Gpu } from "../kernels/runtime/device.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import type { Checkpoint } from "../model/checkpoint/checkpoint.ts";
import { type ModelConfig, parseConfig } from "../model/network/config.ts";
import { initialValues } from "../model/network/initialization.ts";
import { Parameters } from "../model/network/parameters.ts";
import { BlockBatches, microBatchesOfBlocks } from "./batches/block-batches.ts";
import type { PretrainingText } from "./batches/pretraining-text.ts";
import { unigramEntropy } from "./batches/unigram-entropy.ts";
import type { TrainingStage } from "./run/stage.ts";
import type { PretrainSettings } from "./settings/pretrain-settings.ts";
import { NextTokenObjective } from "./step/objective.ts";

/** The stage of pretraining, wherever it runs: all but the folder of a run. */
export type PretrainingStage = Omit<TrainingStage, "dir" | "runFiles" | "begun"> & {
  readonly unigramEntropy: number;
};

/**
 * Puts pretraining together: the network that the settings describe, its first weights, and blocks
 * of the text for each step.
 *
 * @param base a checkpoint to train further: its network and weights
 * @throws UserError if the settings describe no network
 */
export function pretrainingStage(
  gpu: Gpu,
  { data, model, train }: PretrainSettings,
  text: PretrainingText,
  base?: Pick<Checkpoint, "config" | "readFloat32">,
): PretrainingStage {
  const config = base?.config ?? newNetwork(model, text);
  return {
    name: "pretraining",
    gpu,
    parameters: new Parameters(config, train.precision === "mixed"),
    initialWeights: base
      ? ({ name }) => base.readFloat32(name)
      : (part, index) => initialValues(part, train.seed, index),
    source: new BlockBatches(text.blocks, train.microBatch, train.accumulation, text.padding),
    objective: () => new NextTokenObjective(),
    room: {
      tokens: train.microBatch * data.sequence,
      sequences: train.microBatch,
      longest: data.sequence,
    },
    training: train,
    heldOut: microBatchesOfBlocks(text.validation, train.microBatch, text.padding),
    files: text.files,
    tokensBySource: text.tokensBySource,
    unigramEntropy: unigramEntropy(text.validation, text.padding),
  };
}

/** The network that is made anew for a text. @throws UserError if the settings describe none */
export function newNetwork(
  model: PretrainSettings["model"],
  { vocabularySize, tokenizer }: Pick<PretrainingText, "vocabularySize" | "tokenizer">,
): ModelConfig {
  return modelConfig(model, {
    vocab_size: vocabularySize,
    bos_token_id: tokenizer.padding,
    eos_token_id: tokenizer.endOfDocument,
  });
}

/** Refuses what can be told before any text is read; a checkpoint is checked when it is opened. */
export function checkModel({ data, model }: PretrainSettings): void {
  if (model.path !== undefined) return;
  modelConfig(model, { vocab_size: 1 });
  // Rope's table has as many rows as the model takes tokens.
  if (data.sequence <= model.max_position_embeddings) return;
  throw new UserError(
    `data.sequence is ${data.sequence}, more than model.max_position_embeddings, ` +
      `${model.max_position_embeddings}: lower the first or raise the second`,
  );
}

function modelConfig(
  model: PretrainSettings["model"],
  vocabulary: { vocab_size: number; bos_token_id?: number; eos_token_id?: number },
): ModelConfig {
  return parseConfig({
    architectures: ["SteelForCausalLM"],
    model_type: "steel",
    hidden_act: "silu",
    tie_word_embeddings: false,
    ...model,
    ...vocabulary,
  }, "the settings' section model");
}
