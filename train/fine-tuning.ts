import { join } from "node:path";
import { embeddedExam } from "../data/exam/embedded-instructions.ts";
import { isRecord } from "../data/files/is-record.ts";
import { Lock } from "../data/files/lock.ts";
import { readIfThere } from "../data/files/text-file.ts";
import { type LanguageShares, sharesInWords } from "../data/instructions/language-shares.ts";
import { parseSetChoice } from "../data/instructions/mix-sets.ts";
import { shuffled } from "../data/random.ts";
import { parseObject } from "../data/text/json.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { hasChecksums, withoutChecksums } from "../model/host/checksums.ts";
import { EXAMPLES_FILE, runOf } from "../model/host/run-folder.ts";
import { LanguageModel } from "../model/inference/language-model.ts";
import { initialValues } from "../model/network/initialization.ts";
import { Parameters } from "../model/network/parameters.ts";
import {
  each,
  ExampleBatches,
  type Items,
  packed,
  padded,
  requireSameItems,
  stepsPerEpoch,
} from "./batches/example-batches.ts";
import { digestOf } from "./batches/examples-digest.ts";
import { roomFor } from "./batches/micro-batch-room.ts";
import { newAdapter } from "./lora.ts";
import { type Base, filesToKeep, openBase, requireSameBase } from "./checkpoint/base.ts";
import { type ExamAccuracy, examAccuracy } from "./run/exam-accuracy.ts";
import { addFacts, FACTS_FILE } from "./run/run-facts.ts";
import { runOnGpu } from "./run/run-on-gpu.ts";
import { isWriter, type RunOptions } from "./run/run-options.ts";
import { runStage } from "./run/run-stage.ts";
import { writeAnswers } from "./run/samples.ts";
import type { TrainingStage } from "./run/stage.ts";
import { type BegunRun, findRun } from "./checkpoint/training-checkpoint.ts";
import type { FineTuningSettings } from "./settings/fine-tuning-settings.ts";
import { requireSameSettings, SETTINGS_FILE } from "./settings/run-settings.ts";
import { settingsToYaml } from "./settings/settings.ts";
import type { Room } from "./step/micro-batch.ts";

/** What a fine-tuning stage trains on. */
export interface Examples {
  readonly items: Items;
  /** Their tokens. */
  readonly tokens: LanguageShares;
}

/** What a stage brings to the run that all fine-tuning shares. */
export interface FineTuning {
  readonly name: TrainingStage["name"];
  readonly objective: TrainingStage["objective"];
  readonly loss?: TrainingStage["loss"];
  readonly pictures?: TrainingStage["pictures"];
  /** The command that makes a checkpoint to start from. */
  readonly baseCommand: string;
  /** What an item is called. */
  readonly unit: "examples" | "pairs";
  /** Reads and encodes the examples. */
  readonly read: (base: Base, say: (text: string) => void) => Promise<Examples>;
  /** What was measured on the held-out items, as the end of a sentence. */
  readonly inWords: (measures: Record<string, number>) => string;
  /** Adds to the items what the model as it starts makes of them. */
  readonly complete?: (
    items: Items,
    model: LanguageModel,
    base: Base,
    room: Room,
    options: RunOptions,
  ) => Promise<Items>;
}

/**
 * Trains a checkpoint further, or goes on where the run's folder says that it was stopped.
 *
 * @returns the trained model, or undefined if the run was stopped
 * @throws UserError for settings, examples, a checkpoint or a folder that it cannot work with, or if
 *   another process writes into the folder
 */
export async function fineTune(
  settings: FineTuningSettings,
  stage: FineTuning,
  options: RunOptions,
): Promise<LanguageModel | undefined> {
  await using _ = isWriter(options) ? await Lock.ofFolder(settings.run.dir) : undefined;
  const begun = await findRun(settings.run.dir);
  const { model: { path }, run, data: { cutoff } } = settings;
  const longest = { name: "data.cutoff", tokens: cutoff };
  using base = await openBase({ path, runDir: run.dir, longest }, begun, stage.baseCommand);
  return await runOnGpu(
    { ...settings, model: { path: base.path } },
    options,
    (gpu, settings) => runOn(gpu, settings, stage, base, begun, options),
  );
}

async function runOn(
  gpu: Gpu,
  settings: FineTuningSettings,
  stage: FineTuning,
  base: Base,
  begun: BegunRun | undefined,
  options: RunOptions,
): Promise<LanguageModel | undefined> {
  const { data, train, run } = settings;
  const { checkpoint, tokenizer } = base;
  const say = (text: string) => options.onMessage?.(text);
  if (!await hasChecksums(checkpoint.files)) say(withoutChecksums(checkpoint.dir));
  const adapter = newAdapter(checkpoint.config, settings.lora, base.path);
  if (begun && isWriter(options)) await requireSameSettings(run.dir, settings, begun.state);
  requireSameBase(base, begun);
  const examples = await stage.read(base, say);
  const digest = digestOf(examples.items);
  if (begun) requireSameItems(begun.state.position, digest);
  say(describeExamples(examples, stage.unit));

  const mixed = train.precision === "mixed";
  const parameters = new Parameters(checkpoint.config, mixed, adapter?.adaptation);
  const model = new LanguageModel(gpu, parameters, { tokenizer, ownsGpu: !options.gpu });
  using unfinished = new DisposableStack();
  unfinished.defer(() => model.close());
  await parameters.load(gpu, ({ name }) => checkpoint.readFloat32(name));
  if (adapter) {
    // Without effect yet: the model as it starts is the base, which is also DPO's reference.
    await parameters.loadUpdates(gpu, (part, index) => initialValues(part, data.seed, index));
  }
  const isExamined = learnsEmbedded(data) && isWriter(options);
  const before = isExamined ? await embeddedAccuracy(model, "exam before", options) : undefined;
  if (before) say(`Held-out exam before: ${before.text}`);
  const room = roomFor(examples.items, train, data.seed);
  const items = await stage.complete?.(examples.items, model, base, room, options) ??
    examples.items;
  const { trained, heldOut } = holdOut(items, data.heldOut, data.seed);
  const source = new ExampleBatches(
    trained,
    digest,
    train.batch,
    data.seed,
    (step) => train.packing ? packed(step, room) : padded(step, train.microBatch),
  );
  if (begun) source.seek(begun.state.position);
  const steps = train.steps ||
    Math.ceil(train.epochs * stepsPerEpoch(trained.length, train.batch));

  const { isComplete, measures } = await runStage({
    name: stage.name,
    dir: run.dir,
    runFiles: {
      [SETTINGS_FILE]: settingsToYaml(settings),
      [EXAMPLES_FILE]: sharesToJson(examples),
    },
    begun,
    gpu,
    parameters,
    base,
    source,
    objective: stage.objective,
    loss: stage.loss,
    room,
    training: { ...train, steps, warmupSteps: Math.round(train.warmupShare * steps) },
    heldOut: packed([...each(heldOut)], room),
    files: { ...await filesToKeep(base), ...adapter?.files },
    examBefore: before?.share,
    // The losses of pairs of answers begin at what knows nothing, and need not fall by half.
    signatures: stage.unit === "examples"
      ? { plateauWithin: steps, languages: await languagesInWords(base.path, examples.tokens) }
      : undefined,
    pictures: stage.pictures,
  }, options);
  if (!isComplete) return undefined;
  if (measures) {
    say(`On ${heldOut.length} held-out ${stage.unit}, ${stage.inWords(measures)}.`);
  }
  if (isExamined) {
    const after = await embeddedAccuracy(model, "exam after", options);
    say(`Held-out exam after: ${after.text}`);
    await addFacts(run.dir, { examAfter: after.share });
    for (const text of await answerEmbedded(model, run.dir)) say(`\n${text}`);
  }
  unfinished.move();
  return model;
}

function describeExamples({ items: { length }, tokens }: Examples, unit: string): string {
  const total = Object.values(tokens).reduce((sum, count) => sum + count);
  return `${length.toLocaleString("en")} ${unit} of ${total.toLocaleString("en")} tokens: ` +
    sharesInWords(tokens);
}

/** The languages of the examples, and of what their base was trained on where its run tells. */
async function languagesInWords(base: string, tokens: LanguageShares): Promise<string> {
  const own = `It is fine-tuned on ${sharesInWords(tokens)}`;
  const run = runOf(base);
  if (run === base) return own; // no checkpoint of a run
  const path = join(run, FACTS_FILE);
  const facts = await readIfThere(path);
  const { tokensBySource } = facts === undefined ? {} : parseObject(facts, path);
  if (!isRecord(tokensBySource)) return own;
  const sources = Object.entries(tokensBySource).map(([name, count]) =>
    [name, Number(count)] as const
  );
  const total = sources.reduce((sum, [, count]) => sum + count, 0);
  const shares = sources.map(([name, count]) => `${name} ${(100 * count / total).toFixed(1)} %`);
  return `${own}; it was pretrained on ${shares.join(", ")}`;
}

/** The shares of the languages, as the run's folder keeps them. */
function sharesToJson({ items, tokens }: Examples): string {
  return JSON.stringify({ examples: items.length, tokens }) + "\n";
}

/** Splits items into those to train on and those held out: the last of a random order. */
function holdOut(items: Items, share: number, seed: number): { trained: Items; heldOut: Items } {
  const count = share === 0 ? 0 : Math.max(1, Math.round(share * items.length));
  if (count >= items.length) {
    throw new UserError(
      `data.heldOut is ${share}: of ${items.length} examples that leaves none to train on`,
    );
  }
  const order = shuffled(items.length, seed);
  const inOrder = (first: number, length: number): Items => ({
    length,
    at: (index) => items.at(order[first + index]),
  });
  const border = items.length - count;
  return { trained: inOrder(0, border), heldOut: inOrder(border, count) };
}

function learnsEmbedded({ sets }: FineTuningSettings["data"]): boolean {
  return sets.some((set) => parseSetChoice(set).name === "embedded");
}

/** How many questions of the embedded sets' exam the model answers rightly. */
async function embeddedAccuracy(
  model: LanguageModel,
  task: string,
  { onProgress }: RunOptions,
): Promise<ExamAccuracy> {
  const questions = await embeddedExam();
  const total = questions.length;
  const show = (done: number) => onProgress?.({ task, done, total, unit: "questions", status: "" });
  show(0);
  return await examAccuracy(model, questions, show);
}

/** Puts a question of each kind of the embedded sets to the model, as in a chat. */
async function answerEmbedded(model: LanguageModel, dir: string): Promise<string[]> {
  const kinds = Map.groupBy(await embeddedExam(), ({ kind }) => kind).values();
  const questions = ["你是谁？", ...[...kinds].map(([{ chat }]) => chat)];
  return await writeAnswers(model, questions, dir);
}
