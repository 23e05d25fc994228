import type { FileSum } from "../../data/files/checksum.ts";
import type { HeadGradient } from "../../kernels/loss/head.ts";
import type { AdamWOptions } from "../../kernels/optimizer/adamw.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { SignatureContext } from "../../model/host/failure-signatures.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";
import type { Parameters, Part } from "../../model/network/parameters.ts";
import type { StepSource } from "../batches/step-source.ts";
import type { MicroBatch, Room } from "../step/micro-batch.ts";
import type { Objective } from "../step/objective.ts";
import type { LearningRateSchedule } from "../step/schedule.ts";
import type { BegunRun } from "../checkpoint/training-checkpoint.ts";

/** AdamW, the learning rate, and how often a run validates and saves. */
export interface StageSettings extends AdamWOptions, LearningRateSchedule {
  /** The largest norm of the whole gradient; a larger one is scaled down. */
  readonly clip: number;
  /** Compute each layer's activations again in the backward pass: less memory, more time. */
  readonly recompute?: boolean;
  /** From what of the logits' gradient the hidden states' gradient is computed. */
  readonly headGradient?: HeadGradient;
  /** How gradients and weights travel between ranks, if there are several. */
  readonly exchange?: ExchangeFormat;
  /** Steps between two validations. */
  readonly validateEvery: number;
  /** Steps between two checkpoints. */
  readonly checkpointEvery: number;
  /** How many checkpoints to keep: the newest. */
  readonly keepCheckpoints: number;
  /** Also write event files for TensorBoard. */
  readonly tensorboard?: boolean;
}

/** The parts of a run. Nothing else differs between stages. */
export interface TrainingStage {
  /** Name of the stage, for titles. */
  readonly name: string;
  /** The run's folder. */
  readonly dir: string;
  /**
   * Texts for that folder, by file name, that say what the run is of, such as its settings. They are
   * written when nothing refuses the run any more.
   */
  readonly runFiles?: Readonly<Record<string, string>>;
  /** The result of `findRun` for that folder: where the run continues. */
  readonly begun: BegunRun | undefined;
  /** The device of the parameters. */
  readonly gpu: Gpu;
  /** The parameters to train. */
  readonly parameters: Parameters;
  /** The weights that a new run starts from. Left out if the parameters are loaded already. */
  readonly initialWeights?: (
    part: Part,
    index: number,
  ) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>;
  /** Where a run starts from a checkpoint: its folder, and the sums of its files of weights. */
  readonly base?: { readonly path: string; readonly weights: Readonly<Record<string, FileSum>> };
  /** The settings of the objective, by their keys in the section `loss`, if it has any. */
  readonly loss?: Readonly<Record<string, string | number | boolean>>;
  /** The micro-batches to train on. Of a run that continues, opened at the position of `begun`. */
  readonly source: StepSource;
  /** Makes a new objective at every call: training and validation need one each. */
  readonly objective: () => Objective;
  /** The space for every micro-batch, also for those held out. */
  readonly room: Room;
  /** AdamW, the learning rate, and how often to validate and save. */
  readonly training: StageSettings;
  /** The micro-batches to validate on; may be empty. */
  readonly heldOut: readonly MicroBatch[];
  /** Files to store with each checkpoint, by name, such as the tokenizer's. */
  readonly files?: Record<string, string>;
  /** Number of tokens from each source of the text, for the report. */
  readonly tokensBySource?: Readonly<Record<string, number>>;
  /** The loss of a model that knows only how often each held-out token occurs, in nats. */
  readonly unigramEntropy?: number;
  /** The share of the exam's questions that the model answers rightly before training. */
  readonly examBefore?: number;
  /** What is known of the run for the signatures of failures. */
  readonly signatures?: SignatureContext;
  /** Further pictures of the metrics to draw at each checkpoint, by file name. */
  readonly pictures?: Record<string, (metrics: readonly StepMetrics[]) => string>;
}
