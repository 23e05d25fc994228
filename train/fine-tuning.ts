import { join } from "node:path";
import { embeddedExam } from "../data/exam/embedded-instructions.ts";
import { type LanguageShares, sharesInWords } from "../data/instructions/language-shares.ts";
import { parseSetChoice } from "../data/instructions/mix-sets.ts";
import { shuffled } from "../data/random.ts";
import { WholeFile } from "../data/files/whole-file.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { describeMemory } from "../kernels/runtime/memory.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { readIfThere } from "../data/files/text-file.ts";
import { LanguageModel } from "../model/inference/language-model.ts";
import { Parameters } from "../model/network/parameters.ts";
import { newestCheckpoint } from "../model/host/run-folder.ts";
import { VOCABULARY_FILE } from "../model/tokenizer/vocabulary.ts";
import type { Base } from "./run/base.ts";
import { HeldOutLoss } from "./step/held-out-loss.ts";
import { examAccuracy } from "./run/exam-accuracy.ts";
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
import type { FineTuningSettings } from "./settings/fine-tuning-settings.ts";
import { type Run, train } from "./run/loop.ts";
import type { Room } from "./step/micro-batch.ts";
import { roomFor } from "./batches/micro-batch-room.ts";
import type { Objective } from "./step/objective.ts";
import { keepFacts } from "./run/run-facts.ts";
import { writeAnswers } from "./run/samples.ts";
import {
  readTrainingState,
  restoreTraining,
  type TrainingState,
} from "./run/training-checkpoint.ts";
import { TrainingStep } from "./step/training-step.ts";
import { openCheckpoint } from "../model/host/open-checkpoint.ts";

/** What a stage brings to the run that all fine-tuning shares. */
export interface FineTuning {
  /** Name of the stage, for titles. */
  readonly stage: string;
  readonly settings: FineTuningSettings;
  readonly base: Base;
  /** A new one at every call: one is trained with, another validated with. */
  readonly objective: () => Objective;
  /** What to train on, and what to hold out. */
  readonly items: Items;
  /** What an item is called. */
  readonly unit: "examples" | "pairs";
  /** Tokens of the items. */
  readonly tokens: LanguageShares;
  /** Adds to the items what the model as it starts says of them. */
  readonly complete?: (
    model: LanguageModel,
    room: Room,
    items: Items,
  ) => Promise<Items>;
  /** Pictures of the run besides the loss, by file name. */
  readonly pictures?: Run["pictures"];
}

/**
 * Trains a checkpoint further, or goes on where the run's folder says that it was stopped.
 *
 * @returns the trained model, or undefined if the run was interrupted
 * @throws UserError for settings or a checkpoint that it cannot work with
 */
export async function fineTune(gpu: Gpu, stage: FineTuning): Promise<LanguageModel | undefined> {
  const { settings: { data, train: training, run }, base: { checkpoint, tokenizer } } = stage;
  const digest = digestOf(stage.items);
  const begun = await newestCheckpoint(run.dir);
  if (begun) requireSameItems((await readTrainingState(begun)).position, digest);
  await keepShares(run.dir, stage);
  const parameters = new Parameters(checkpoint.config, training.precision === "mixed");
  const model = new LanguageModel(gpu, parameters, { tokenizer, ownsGpu: true });
  await parameters.load(gpu, ({ name }) => checkpoint.readFloat32(name));
  await showExamAccuracy("before", model, data);
  const room = roomFor(stage.items, training, data.seed);
  const items = await stage.complete?.(model, room, stage.items) ?? stage.items;
  const { trained, heldOut } = holdOut(items, data.heldOut, data.seed);

  const validation = heldOut.length === 0
    ? undefined
    : await HeldOutLoss.plan(gpu, parameters, room, stage.objective());
  const heldOutBatches = packed([...each(heldOut)], room);
  const options = { ...training, ...room, objective: stage.objective() };
  const step = await TrainingStep.plan(gpu, parameters, options, (memory) =>
    console.log(
      `${parameters.count.toLocaleString("en")} parameters on ${gpu.capabilities.name}; ` +
        describeMemory(memory),
    ));
  await keepFacts(run.dir, model, step.memory);
  const source = new ExampleBatches(
    trained,
    digest,
    training.batch,
    data.seed,
    (step) => training.packing ? packed(step, room) : padded(step, training.microBatch),
  );
  const steps = training.steps ||
    Math.ceil(training.epochs * stepsPerEpoch(trained.length, training.batch));
  const state = await restore(run.dir, model, step, source, steps) ??
    { step: 0, tokens: 0, skipped: 0, position: source.position() };
  const finished = await train({
    stage: stage.stage,
    dir: run.dir,
    model,
    training: step,
    source,
    schedule: { ...training, steps, warmupSteps: Math.round(training.warmupShare * steps) },
    validate: validation && (async () => (await validation.run(heldOutBatches)).loss),
    validateEvery: training.validateEvery,
    checkpointEvery: training.checkpointEvery,
    keepCheckpoints: training.keepCheckpoints,
    files: await filesToKeep(stage.base),
    pictures: stage.pictures,
    command: "the same command",
  }, state);
  step.destroy();
  if (!finished) return undefined;
  if (validation) {
    const measures = Object.entries(await validation.run(heldOutBatches))
      .map(([name, value]) => `${name} ${value.toFixed(4)}`);
    console.log(`${heldOut.length} held-out examples: ${measures.join(", ")}`);
    validation.destroy();
  }
  await showExamAccuracy("after", model, data);
  await showAnswers(model, data, run.dir);
  return model;
}

/** Prints the shares of the languages, and keeps them in the run's folder as `examples.json`. */
async function keepShares(
  dir: string,
  { items: { length: examples }, unit, tokens }: FineTuning,
): Promise<void> {
  const total = Object.values(tokens).reduce((sum, count) => sum + count);
  console.log(
    `${examples.toLocaleString("en")} ${unit} of ${total.toLocaleString("en")} tokens: ` +
      sharesInWords(tokens),
  );
  await WholeFile.write(join(dir, "examples.json"), JSON.stringify({ examples, tokens }) + "\n");
}

/** Loads the newest checkpoint of a run's folder, if there is one, and tells where it stands. */
async function restore(
  dir: string,
  { gpu, parameters }: LanguageModel,
  step: TrainingStep,
  source: ExampleBatches,
  steps: number,
): Promise<TrainingState | undefined> {
  const checkpoint = await newestCheckpoint(dir);
  if (checkpoint === undefined) return undefined;
  using saved = await openCheckpoint(checkpoint);
  await parameters.load(gpu, ({ name }) => saved.readFloat32(name));
  const state = await restoreTraining(checkpoint, gpu, parameters, step);
  source.seek(state.position);
  console.log(
    state.step < steps
      ? `Going on from ${checkpoint}, step ${state.step} of ${steps}.`
      : `The run in ${dir} is complete: all ${steps} steps are done. To train another model: ` +
        `--run.dir=ANOTHER_FOLDER`,
  );
  return state;
}

/** The tokenizer's files, and what its vocabulary was pruned to where it was. */
async function filesToKeep({ checkpoint, tokenizer }: Base): Promise<Record<string, string>> {
  const vocabulary = await readIfThere(join(checkpoint.dir, VOCABULARY_FILE));
  return { ...tokenizer.files(), ...(vocabulary && { [VOCABULARY_FILE]: vocabulary }) };
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

/** Prints how many questions of the embedded sets' exam the model answers rightly. */
async function showExamAccuracy(
  when: string,
  model: LanguageModel,
  data: FineTuningSettings["data"],
): Promise<void> {
  if (!learnsEmbedded(data)) return;
  console.log(`Held-out exam ${when}: ${await examAccuracy(model, await embeddedExam())}`);
}

/** Puts a question of each kind to a model that learnt from the embedded sets, as in a chat. */
async function showAnswers(
  model: LanguageModel,
  data: FineTuningSettings["data"],
  dir: string,
): Promise<void> {
  if (!learnsEmbedded(data)) return;
  const kinds = Map.groupBy(await embeddedExam(), ({ kind }) => kind).values();
  const questions = ["你是谁？", ...[...kinds].map(([{ chat }]) => chat)];
  await writeAnswers(model, questions, dir);
}

function learnsEmbedded({ sets }: FineTuningSettings["data"]): boolean {
  return sets.some((set) => parseSetChoice(set).name === "embedded");
}
