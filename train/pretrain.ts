import { join } from "node:path";
import { Lock } from "../data/files/lock.ts";
import { readIfThere } from "../data/files/text-file.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { LanguageModel } from "../model/inference/language-model.ts";
import { type ModelConfig, parseConfig } from "../model/network/config.ts";
import { initialValues } from "../model/network/initialization.ts";
import { Parameters } from "../model/network/parameters.ts";
import { VOCABULARY_FILE } from "../model/tokenizer/vocabulary.ts";
import { BlockBatches, microBatchesOfBlocks } from "./batches/block-batches.ts";
import { corpusText, type PretrainingText } from "./batches/pretraining-text.ts";
import { namesShards, shardText } from "./batches/shard-text.ts";
import { unigramEntropy } from "./batches/unigram-entropy.ts";
import { runOnGpu } from "./run/run-on-gpu.ts";
import type { RunOptions } from "./run/run-options.ts";
import { runStage } from "./run/run-stage.ts";
import { type BegunRun, findRun } from "./run/training-checkpoint.ts";
import { type PretrainSettings, pretrainSettings } from "./settings/pretrain-settings.ts";
import { keepSettings } from "./settings/run-settings.ts";
import type { Given } from "./settings/settings-schema.ts";
import { NextTokenObjective } from "./step/objective.ts";

/**
 * Trains a model from random weights, or goes on where the run's folder says that it was stopped.
 *
 * @param given settings; those left out are as in `pretrain.yaml`
 * @returns the trained model, or undefined if the run was stopped
 * @throws UserError for settings, text or a folder that it cannot work with, or if another process
 *   writes into the folder
 */
export async function pretrain(
  given: Given<PretrainSettings>,
  options: RunOptions = {},
): Promise<LanguageModel | undefined> {
  const settings = await pretrainSettings(given);
  checkModel(settings);
  await using _ = await Lock.ofFolder(settings.run.dir);
  return await runOnGpu(settings, options.gpu, (gpu, settings) => runOn(gpu, settings, options));
}

async function runOn(
  gpu: Gpu,
  settings: PretrainSettings,
  options: RunOptions,
): Promise<LanguageModel | undefined> {
  const { data, train, run } = settings;
  const say = (text: string) => options.onMessage?.(text);
  const begun = await findRun(run.dir);
  // Checkpoints remember what was appended: a run that goes on is not to append it again.
  await keepSettings(run.dir, { ...settings, data: { ...data, append: [] } }, begun !== undefined);
  using text = await openText(settings, begun, say);
  if (begun) await requireSameVocabulary(begun.checkpoint, text);
  const entropy = unigramEntropy(text.validation, text.padding);
  say(describeText(text, entropy));
  const config = modelConfig(settings.model, {
    vocab_size: text.vocabularySize,
    bos_token_id: text.tokenizer.padding,
    eos_token_id: text.tokenizer.endOfDocument,
  });
  const parameters = new Parameters(config, train.precision === "mixed");
  const { tokenizer } = text;
  const model = new LanguageModel(gpu, parameters, { tokenizer, ownsGpu: !options.gpu });
  using unfinished = new DisposableStack();
  unfinished.defer(() => model.close());
  const { isComplete, measures } = await runStage({
    name: "pretraining",
    dir: run.dir,
    begun,
    gpu,
    parameters,
    initialWeights: (part, index) => initialValues(part, train.seed, index),
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
    unigramEntropy: entropy,
  }, options);
  if (!isComplete) return undefined;
  say(
    `Validation loss ${
      measures!.loss.toFixed(4)
    } nats per token. A model that knows only how often ` +
      `each token occurs would have ${entropy.toFixed(4)} (the unigram entropy).`,
  );
  unfinished.move();
  return model;
}

/** Refuses what can be told before any text is read. */
function checkModel({ data, model }: PretrainSettings): void {
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

/** Opens shards or a corpus where the run stands, with what `data.append` adds. */
async function openText(
  settings: PretrainSettings,
  begun: BegunRun | undefined,
  say: (text: string) => void,
): Promise<PretrainingText> {
  const { data, run, train } = settings;
  const isOfShards = await namesShards(data.source);
  if (data.append.length > 0) {
    const refuse = (reason: string) =>
      new UserError(`data.append: ${data.append.join(", ")} cannot be appended: ${reason}`);
    if (!isOfShards) throw refuse("data.source is not shards, as deno task data makes them");
    if (!begun) throw refuse(`${run.dir} holds no run yet; name all folders in data.source`);
    if (begun.state.step >= train.steps) throw refuse(`the run in ${run.dir} is complete`);
  }
  const position = begun?.state.position;
  return isOfShards ? shardText(settings, position, say) : corpusText(settings, position, say);
}

/** With another vocabulary, the same blocks of ids would be another text. */
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

function describeText(text: PretrainingText, entropy: number): string {
  const { tokens, tokensBySource, validation, vocabularySize } = text;
  const total = Object.values(tokensBySource).reduce((sum, count) => sum + count, 0);
  const sources = Object.entries(tokensBySource)
    .map(([source, count]) => `${source} ${(100 * count / total).toFixed(1)} %`);
  return `${tokens.toLocaleString("en")} tokens to train on (${sources.join(", ")}); vocabulary: ` +
    `${vocabularySize.toLocaleString("en")} tokens; ${validation.length} held-out blocks, with a ` +
    `unigram entropy of ${entropy.toFixed(4)} nats per token`;
}
