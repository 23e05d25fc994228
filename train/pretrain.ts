import { join } from "node:path";
import { Lock } from "../data/files/lock.ts";
import { readIfThere } from "../data/files/text-file.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { LanguageModel } from "../model/inference/language-model.ts";
import { VOCABULARY_FILE } from "../model/tokenizer/vocabulary.ts";
import { corpusText } from "./batches/corpus-text.ts";
import type { OwnVocabulary, PretrainingText } from "./batches/pretraining-text.ts";
import { namesShards, shardText } from "./batches/shard-text.ts";
import { checkModel, type PretrainingStage, pretrainingStage } from "./pretraining-stage.ts";
import { type Base, filesToKeep, openBase, requireSameBase } from "./checkpoint/base.ts";
import { InitialWeights } from "./run/initial-weights.ts";
import { runOnGpu } from "./run/run-on-gpu.ts";
import { isWriter, type RunOptions } from "./run/run-options.ts";
import { runStage } from "./run/run-stage.ts";
import { type BegunRun, findRun } from "./checkpoint/training-checkpoint.ts";
import { type PretrainSettings, pretrainSettings } from "./settings/pretrain-settings.ts";
import { requireSameSettings, SETTINGS_FILE } from "./settings/run-settings.ts";
import { settingsToYaml } from "./settings/settings.ts";
import type { Given } from "./settings/settings-schema.ts";

/**
 * Trains a model from random weights or from a checkpoint, or goes on where the run's folder says that it was stopped.
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
  checkShare(settings, options);
  await using _ = isWriter(options) ? await Lock.ofFolder(settings.run.dir) : undefined;
  return await runOnGpu(settings, options, (gpu, settings) => runOn(gpu, settings, options));
}

async function runOn(
  gpu: Gpu,
  settings: PretrainSettings,
  options: RunOptions,
): Promise<LanguageModel | undefined> {
  const { data, run } = settings;
  const say = (text: string) => options.onMessage?.(text);
  const begun = await findRun(run.dir);
  using base = await openModelPath(settings, begun);
  const model = base ? { path: base.path } : settings.model;
  // Checkpoints remember what was appended: a run that goes on is not to append it again.
  const kept = { ...settings, model, data: { ...data, append: [] } };
  if (begun && isWriter(options)) await requireSameSettings(run.dir, kept, begun.state);
  if (base) requireSameBase(base, begun);
  using text = await openText(settings, begun, base && await ownVocabulary(base), say);
  if (begun) await requireSameVocabulary(begun.checkpoint, text);
  const stage = pretrainingStage(gpu, settings, text, base?.checkpoint);
  using ahead = begun || base ? undefined : weightsAhead(stage, settings, options);
  const { parameters, unigramEntropy: entropy } = stage;
  say(describeText(text, entropy));
  const { tokenizer } = text;
  const trained = new LanguageModel(gpu, parameters, { tokenizer, ownsGpu: !options.gpu });
  using unfinished = new DisposableStack();
  unfinished.defer(() => trained.close());
  const { isComplete, measures } = await runStage({
    ...stage,
    ...ahead && { initialWeights: (_, index) => ahead.take(index) },
    dir: run.dir,
    runFiles: { [SETTINGS_FILE]: settingsToYaml(kept) },
    begun,
    base,
  }, options);
  if (!isComplete) return undefined;
  say(
    `Validation loss ${
      measures!.loss.toFixed(4)
    } nats per token. A model that knows only how often ` +
      `each token occurs would have ${entropy.toFixed(4)} (the unigram entropy).`,
  );
  unfinished.move();
  return trained;
}

/** Begins to make the first weights of a large model in other threads. */
function weightsAhead(
  { gpu, parameters: { count, parts } }: PretrainingStage,
  { train: { seed } }: PretrainSettings,
  { ranks }: RunOptions,
): InitialWeights | undefined {
  const threads = InitialWeights.threadsFor(count, gpu, ranks?.size ?? 1);
  return threads > 1 ? new InitialWeights(parts, seed, threads) : undefined;
}

/** Opens the checkpoint of `model.path`, if the settings have one. */
async function openModelPath(
  { model: { path }, data, run }: PretrainSettings,
  begun: BegunRun | undefined,
): Promise<Base | undefined> {
  if (path === undefined) return undefined;
  const longest = { name: "data.sequence", tokens: data.sequence };
  const settings = { path: String(path), runDir: run.dir, longest };
  return await openBase(settings, begun, "deno task pretrain");
}

async function ownVocabulary(base: Base): Promise<OwnVocabulary> {
  const { tokenizer, checkpoint: { config } } = base;
  return { tokenizer, vocabularySize: config.vocabSize, files: await filesToKeep(base) };
}

/** Every GPU must have something to do; how a step is shared out is not in the settings. */
function checkShare({ train }: PretrainSettings, { ranks }: RunOptions): void {
  if (ranks === undefined || train.accumulation >= ranks.size) return;
  throw new UserError(
    `train.accumulation is ${train.accumulation}, but ${ranks.size} GPUs share out the micro-batches ` +
      `of a step: give at least --train.accumulation=${ranks.size}, with a smaller ` +
      `train.microBatch if steps are to stay as large as they are`,
  );
}

/** Opens shards or a corpus where the run stands, with what `data.append` adds. */
async function openText(
  settings: PretrainSettings,
  begun: BegunRun | undefined,
  own: OwnVocabulary | undefined,
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
  return isOfShards
    ? shardText(settings, position, own, say)
    : corpusText(settings, position, own, say);
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
