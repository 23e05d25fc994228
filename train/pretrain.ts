import { join } from "node:path";
import type { Gpu } from "../kernels/runtime/device.ts";
import { describeMemory, requireRoom, totalBytes } from "../kernels/runtime/memory.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { type ModelConfig, parseConfig } from "../model/network/config.ts";
import { initialValues } from "../model/network/initialization.ts";
import { readIfThere } from "../data/files/text-file.ts";
import { LanguageModel } from "../model/inference/language-model.ts";
import { Parameters } from "../model/network/parameters.ts";
import { newestCheckpoint } from "../model/host/run-folder.ts";
import { VOCABULARY_FILE } from "../model/tokenizer/vocabulary.ts";
import { BlockBatches } from "./batches/block-batches.ts";
import { train } from "./run/loop.ts";
import type { PretrainSettings } from "./settings/pretrain-settings.ts";
import { corpusText, type PretrainingText } from "./batches/pretraining-text.ts";
import { keepFacts } from "./run/run-facts.ts";
import { runOnGpu } from "./run/run-on-gpu.ts";
import { keepSettings } from "./settings/run-settings.ts";
import { namesShards, shardText } from "./batches/shard-text.ts";
import {
  readTrainingState,
  restoreTraining,
  type TrainingState,
} from "./run/training-checkpoint.ts";
import { TrainingStep } from "./step/training-step.ts";
import { unigramEntropy, validationLoss } from "./run/validation.ts";
import { openCheckpoint } from "../model/host/open-checkpoint.ts";

/**
 * Trains a model from nothing, or goes on where the run's folder says that it was stopped.
 *
 * @returns the trained model, or undefined if the run was interrupted
 * @throws UserError for settings, text or a folder that it cannot work with
 */
export async function pretrain(settings: PretrainSettings): Promise<LanguageModel | undefined> {
  checkModel(settings);
  return await runOnGpu(settings, pretrainOn);
}

async function pretrainOn(
  gpu: Gpu,
  settings: PretrainSettings,
): Promise<LanguageModel | undefined> {
  const { model: sizes, data, train: training, run } = settings;
  // Checkpoints remember what was appended: a run that goes on is not to append it again.
  await keepSettings(run.dir, { ...settings, data: { ...data, append: [] } });
  using text = await prepareText(settings);
  const entropy = unigramEntropy(text.validation, text.padding);
  describeText(text, entropy);
  const config = modelConfig(sizes, {
    vocab_size: text.vocabularySize,
    bos_token_id: text.tokenizer.endOfText,
    eos_token_id: text.tokenizer.imEnd,
  });
  const parameters = new Parameters(config, training.precision === "mixed");
  const step = await TrainingStep.plan(
    gpu,
    parameters,
    {
      ...training,
      tokens: training.microBatch * data.sequence,
      sequences: training.microBatch,
      longest: data.sequence,
    },
    (memory) => {
      console.log(
        `${parameters.count.toLocaleString("en")} parameters on ${gpu.capabilities.name}; ` +
          describeMemory(memory),
      );
      requireRoom(gpu, totalBytes(memory));
    },
  );
  const model = new LanguageModel(gpu, parameters, { tokenizer: text.tokenizer, ownsGpu: true });
  await keepFacts(run.dir, model, step.memory, text.tokensBySource);
  let state: TrainingState = { step: 0, tokens: 0, skipped: 0, position: text.blocks.position() };
  const checkpoint = await newestCheckpoint(run.dir);
  if (checkpoint) {
    using saved = await openCheckpoint(checkpoint);
    await requireSameVocabulary(saved.dir, text);
    await parameters.load(gpu, ({ name }) => saved.readFloat32(name));
    state = await restoreTraining(checkpoint, gpu, parameters, step);
    console.log(
      state.step < training.steps
        ? `Going on from ${checkpoint}, step ${state.step} of ${training.steps}.`
        : `The run in ${run.dir} is complete: all ${training.steps} steps are done. To train ` +
          `another model: --run.dir=ANOTHER_FOLDER`,
    );
  } else {
    await parameters.load(gpu, (part, index) => initialValues(part, training.seed, index));
  }

  const validate = () => validationLoss(model, text.validation, training.microBatch, text.padding);
  const finished = await train(
    {
      stage: "pretraining",
      dir: run.dir,
      model,
      training: step,
      source: new BlockBatches(
        text.blocks,
        training.microBatch,
        training.accumulation,
        text.padding,
      ),
      schedule: training,
      validate,
      validateEvery: training.validateEvery,
      checkpointEvery: training.checkpointEvery,
      keepCheckpoints: training.keepCheckpoints,
      files: text.files,
      unigramEntropy: entropy,
      command: data.append.length > 0
        ? "the same command without --data.append"
        : "the same command",
    },
    state,
  );
  step.destroy();
  if (!finished) return undefined;
  console.log(
    `Validation loss ${(await validate()).toFixed(4)} nats a token; knowing no more than how ` +
      `often each token occurs would give ${entropy.toFixed(4)} (the unigram entropy).`,
  );
  return model;
}

/** Block for block, another vocabulary would mean another text. */
async function requireSameVocabulary(
  checkpoint: string,
  { files }: PretrainingText,
): Promise<void> {
  if (await readIfThere(join(checkpoint, VOCABULARY_FILE)) === files[VOCABULARY_FILE]) return;
  throw new UserError(
    `${checkpoint}: its vocabulary is not that of the text in data.source, which must have ` +
      `changed. Go on with the text as it was, or start another run with --run.dir.`,
  );
}

/** Refuses what needs no text to be told, before any is read. */
function checkModel({ data, model }: PretrainSettings): void {
  modelConfig(model, { vocab_size: 1 });
  // Rope's table has as many rows as the model takes tokens.
  if (data.sequence <= model.max_position_embeddings) return;
  throw new UserError(
    `data.sequence is ${data.sequence}, more than model.max_position_embeddings, ` +
      `${model.max_position_embeddings}: lower the one or raise the other`,
  );
}

/** Shards or a corpus, from where the run stands, with what `data.append` adds. */
async function prepareText(settings: PretrainSettings): Promise<PretrainingText> {
  const { data, run, train } = settings;
  const checkpoint = await newestCheckpoint(run.dir);
  const state = checkpoint === undefined ? undefined : await readTrainingState(checkpoint);
  const isOfShards = await namesShards(data.source);
  if (data.append.length > 0) {
    const refuse = (reason: string) =>
      new UserError(`data.append: ${data.append.join(", ")} cannot be appended: ${reason}`);
    if (!isOfShards) throw refuse("data.source is not shards, as deno task data makes them");
    if (!state) throw refuse(`${run.dir} holds no run yet; name all folders in data.source`);
    if (state.step >= train.steps) throw refuse(`the run in ${run.dir} is complete`);
  }
  return isOfShards ? shardText(settings, state?.position) : corpusText(settings, state?.position);
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

function describeText(text: PretrainingText, entropy: number): void {
  const { tokens, tokensBySource, validation, vocabularySize } = text;
  const total = Object.values(tokensBySource).reduce((sum, count) => sum + count, 0);
  const sources = Object.entries(tokensBySource)
    .map(([source, count]) => `${source} ${(100 * count / total).toFixed(1)} %`);
  console.log(
    `${tokens.toLocaleString("en")} tokens to train on (${sources.join(", ")}), of a ` +
      `vocabulary of ${
        vocabularySize.toLocaleString("en")
      }; ${validation.length} held-out blocks, ` +
      `the unigram entropy of their tokens is ${entropy.toFixed(4)} nats`,
  );
}
