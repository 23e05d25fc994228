/**
 * Trains language models: whole stages by {@linkcode pretrain}, {@linkcode superviseFineTuning} and
 * {@linkcode optimizePreferences}, or a run of your own parts by {@linkcode runStage}. Here a tiny
 * model learns to end a sequence with the token that it began with:
 *
 * ```ts
 * import { addLoss, type Gpu, head, openGpu, type Tensor, upload } from "@steel/steel-llm/kernels";
 * import { initialValues, Parameters, parseConfig } from "@steel/steel-llm/model";
 * import {
 *   findRun, type MicroBatch, type NetworkEnd, type Objective, runStage,
 * } from "@steel/steel-llm/train";
 *
 * // What to minimize: the mean of -ln p over the last token of each sequence.
 * class LastToken implements Objective {
 *   #weights?: Tensor; // [tokens]
 *
 *   record({ hidden, head: table, labels }: NetworkEnd, loss: Tensor) {
 *     const { graph } = hidden;
 *     const weights = this.#weights = graph.input("loss weights", labels.shape);
 *     addLoss(head(hidden, table, labels, graph.training ? weights : undefined), weights, loss);
 *   }
 *   targets({ inputs }: MicroBatch) {
 *     return inputs.length;
 *   }
 *   upload(gpu: Gpu, { inputs }: MicroBatch, weight: number) {
 *     const rows = new Float32Array(this.#weights!.size);
 *     let end = 0;
 *     for (const { length } of inputs) rows[(end += length) - 1] = weight;
 *     upload(gpu, this.#weights!, rows);
 *   }
 *   measures() {
 *     return Promise.resolve({});
 *   }
 * }
 *
 * // What to train on: 16 sequences of 4 tokens a step. Step n always has the same ones.
 * const batch = (step: number): MicroBatch => {
 *   const inputs = Array.from(
 *     { length: 16 },
 *     (_, row) => [0, 1, 4, 9].map((offset) => (step + 5 * row + offset) % 8),
 *   );
 *   return { inputs, labels: inputs.map((ids) => [...ids.slice(1), ids[0]]) };
 * };
 *
 * const dir = await Deno.makeTempDir();
 * const begun = await findRun(dir); // undefined: nothing is in the folder yet
 * let step = begun?.state.step ?? 0;
 * const gpu = await openGpu();
 * const losses: number[] = [];
 * const { isComplete, measures } = await runStage({
 *   name: "first token",
 *   dir,
 *   begun,
 *   gpu,
 *   parameters: new Parameters(parseConfig({
 *     vocab_size: 8, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2,
 *     intermediate_size: 64, max_position_embeddings: 4,
 *   }, "the example's config")),
 *   initialWeights: (part, index) => initialValues(part, 1, index),
 *   source: { next: () => [batch(step++)], position: () => ({ epoch: 0, index: step }) },
 *   objective: () => new LastToken(),
 *   room: { tokens: 64, sequences: 16 },
 *   training: {
 *     steps: 40, warmupSteps: 4, learningRate: 2e-2, minimumLearningRate: 0,
 *     beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1,
 *     validateEvery: 20, checkpointEvery: 20, keepCheckpoints: 1,
 *   },
 *   heldOut: [batch(1000)],
 * }, {
 *   onStep: ({ loss }) => losses.push(loss),
 *   onValidation: (step, { loss }) => console.log(`step ${step}: validation loss ${loss}`),
 *   onCheckpoint: (folder) => console.log(`saved ${folder}`),
 * });
 * if (!isComplete || measures!.loss > losses[0] / 2) throw new Error(`learnt nothing: ${losses}`);
 * gpu.close();
 * await Deno.remove(dir, { recursive: true });
 * ```
 *
 * A run has a folder. If it is killed, or stopped by its `signal`, the next call continues from the
 * newest checkpoint in that folder and ends with the same weights, bit for bit. Functions take their
 * settings as objects, report to callbacks and print nothing. Errors that the user can fix are
 * thrown as {@linkcode UserError}.
 *
 * @module
 */

export { UserError } from "../kernels/runtime/user-error.ts";

// Whole stages, as `deno task pretrain`, `sft` and `dpo` run them.
export { pretrain } from "./pretrain.ts";
export { superviseFineTuning } from "./sft.ts";
export { optimizePreferences } from "./dpo.ts";
export type { OnProgress, Progress } from "../data/progress/progress.ts";
export type { RunOptions, TrainedStep } from "./run/run-options.ts";
export { writeSamples } from "./run/samples.ts";
export { readMetrics, type StepMetrics } from "../model/host/step-metrics.ts";
export {
  FailureSignatures,
  type Signature,
  type SignatureContext,
} from "../model/host/failure-signatures.ts";

// Their settings: an object over the defaults, or command-line arguments.
export {
  loadPretrainSettings,
  pretrainSchema,
  type PretrainSettings,
  pretrainSettings,
} from "./settings/pretrain-settings.ts";
export {
  loadSftSettings,
  sftSchema,
  type SftSettings,
  sftSettings,
} from "./settings/sft-settings.ts";
export {
  dpoSchema,
  type DpoSettings,
  dpoSettings,
  loadDpoSettings,
} from "./settings/dpo-settings.ts";
export type { Field, Given, Schema, SettingsOf } from "./settings/settings-schema.ts";

// A run of parts: what to train on, what to minimize, how, and where.
export { runStage, type StageEnd } from "./run/run-stage.ts";
export type { StageSettings, TrainingStage } from "./run/stage.ts";
export {
  type BegunRun,
  findRun,
  type SavedState,
  type TrainingState,
} from "./checkpoint/training-checkpoint.ts";
export type { FileSum } from "../data/files/checksum.ts";
export type { StepSource } from "./batches/step-source.ts";
export type { MicroBatch, MicroBatchInputs, Room } from "./step/micro-batch.ts";
export { type NetworkEnd, NextTokenObjective, type Objective } from "./step/objective.ts";
export { PreferenceObjective } from "./step/preference-objective.ts";
export { learningRate, type LearningRateSchedule } from "./step/schedule.ts";

// A training step without a run.
export { type StepOptions, type StepReport, TrainingStep } from "./step/training-step.ts";
export type { Traffic } from "../kernels/sharding/reduce-scatter.ts";
export type { ShardedValues } from "./step/sharded-update.ts";
export { HeldOutLoss } from "./step/held-out-loss.ts";
export type { SumOverRanks } from "./step/sum-over-ranks.ts";
export { LossScale, type LossScaleState } from "./step/loss-scale.ts";

// Sources of batches: blocks of a text, and examples of fine-tuning.
export { BlockBatches, microBatchesOfBlocks } from "./batches/block-batches.ts";
export {
  ExampleBatches,
  type Item,
  type Items,
  packed,
  padded,
  type Sequence,
} from "./batches/example-batches.ts";
export { digestOf } from "./batches/examples-digest.ts";
export type { Extent } from "./batches/first-fit.ts";
export { type ExampleLayout, roomFor } from "./batches/micro-batch-room.ts";
export { sequenceOf } from "./batches/sequences.ts";
export type { Example } from "../data/instructions/encode.ts";

// What these parts are made of: see `@steel/steel-llm/model` and `@steel/steel-llm/kernels`.
export type * from "../kernels/mod.ts";
export type * from "../model/mod.ts";
