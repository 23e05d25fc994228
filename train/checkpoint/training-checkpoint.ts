import { join } from "node:path";
import { writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { type FileSum, isFileSum } from "../../data/files/checksum.ts";
import { isRecord } from "../../data/files/is-record.ts";
import { parseObject } from "../../data/text/json.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { Adapter } from "../../model/checkpoint/adapter.ts";
import { Checkpoint } from "../../model/checkpoint/checkpoint.ts";
import { SafetensorsFile } from "../../model/checkpoint/safetensors.ts";
import { hasChecksums, withoutChecksums, writeChecksums } from "../../model/host/checksums.ts";
import { DiskFolder } from "../../model/host/disk-folder.ts";
import {
  checkpointFolder,
  checkpointName,
  checkpointsOf,
  newestCheckpoint,
} from "../../model/host/run-folder.ts";
import { writeAdapterFiles } from "../../model/host/write-adapter.ts";
import { writeCheckpointFiles } from "../../model/host/write-checkpoint.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import type { LossScaleState } from "../step/loss-scale.ts";
import type { TrainingStep } from "../step/training-step.ts";
import { momentsOf, readOptimizerState, writeOptimizerState } from "./optimizer-state.ts";
import type { StateValues } from "./state-values.ts";

/** The state of a run; JSON. */
export interface TrainingState {
  /** Number of optimizer steps done. */
  step: number;
  /** Number of tokens trained on. */
  tokens: number;
  /** Number of these steps that were skipped because a gradient overflowed in f16. */
  skipped: number;
  /** The position of the source of the micro-batches: at least `epoch` and `index`. */
  position: unknown;
  /** Steps of the whole run; checkpoints of earlier versions do not say. */
  steps?: number;
  /**
   * The sums of the files of the weights that the run was started from, by name; absent if they were
   * random, and in checkpoints of earlier versions.
   */
  base?: Readonly<Record<string, FileSum>>;
}

/** The state as it is saved, with that of the training step. */
export interface SavedState extends TrainingState {
  /** The format of the checkpoint; 1 where the file has none. */
  format: number;
  /** The loss scale in mixed precision. */
  lossScale: LossScaleState;
}

/** The file of a checkpoint that holds the state of its run. */
export const STATE_FILE = "training-state.json";
const OPTIMIZER_FILE = "optimizer.safetensors";
/** Since format 2, AdamW's moments are kept by published parameter. */
const FORMAT = 2;

/**
 * Writes a checkpoint from which training continues bit for bit: the model in Hugging Face's layout,
 * or what is trained of it in PEFT's; AdamW's moments, the state of the run, and a checksum of each
 * file. If the process is killed, earlier checkpoints stay whole. How many ranks trained does not
 * show. Other ranks than the first call {@linkcode helpToSave} instead.
 *
 * @param state as it is when this is called
 * @param files the tokenizer's files by name, and those that describe an adapter
 * @param values the weights and moments at that moment
 * @returns its folder, RUN/checkpoints/step-NNNNNNN
 */
export async function saveTraining(
  run: string,
  { config, adaptation, trainedParts: parts }: Parameters,
  state: SavedState,
  files: Record<string, string>,
  values: StateValues,
): Promise<string> {
  const folder = join(checkpointFolder(run), checkpointName(state.step));
  const contents = {
    dtype: "F32",
    tensors: values.weights,
    files: { ...files, [STATE_FILE]: JSON.stringify(state) },
  } as const;
  await writeFolderAtomically(folder, async (aside) => {
    const weights = () =>
      adaptation
        ? writeAdapterFiles(aside, { ...contents, parts })
        : writeCheckpointFiles(aside, { ...contents, config });
    const moments = () => writeOptimizerState(join(aside, OPTIMIZER_FILE), parts, values.moments);
    const [sums, sum] = values.areIndependent
      ? await both(weights(), moments())
      : [await weights(), await moments()];
    await writeChecksums(aside, { ...sums, [OPTIMIZER_FILE]: sum });
  });
  return folder;
}

/** The state of a run as a checkpoint has it. */
export function savedState(state: TrainingState, { lossScale }: TrainingStep): SavedState {
  return { format: FORMAT, ...state, lossScale: lossScale.state };
}

/** What ranks other than the first do while that one saves: they give it what they alone have. */
export async function helpToSave(parameters: Parameters, training: TrainingStep): Promise<void> {
  const { trainedParts } = parameters;
  for (const part of trainedParts) await training.gather(part, "value");
  for (const { part, moment } of momentsOf(trainedParts)) await training.gather(part, moment);
}

/** Waits for both, also if one fails: nothing is to write on where its folder is being removed. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return await Promise.all([first, second]);
}

/** A run that has saved a checkpoint. */
export interface BegunRun {
  /** Folder of the newest checkpoint. */
  readonly checkpoint: string;
  /** The state of the run in that checkpoint. */
  readonly state: SavedState;
}

/**
 * Finds the newest checkpoint in a run's folder; undefined if there is none yet.
 *
 * @throws UserError if the newest checkpoint's state is damaged
 */
export async function findRun(dir: string): Promise<BegunRun | undefined> {
  const checkpoint = await newestCheckpoint(dir);
  if (checkpoint === undefined) return undefined;
  return { checkpoint, state: await readTrainingState(checkpoint) };
}

/**
 * Loads what a checkpoint holds of the parameters, AdamW's moments and loss scale. The model under
 * an adapter must be loaded already.
 *
 * @param say called with a line of text if there are no checksums
 * @returns the state of the run
 * @throws UserError if a file of the checkpoint is missing, damaged or changed
 */
export async function restoreTraining(
  { checkpoint, state: saved }: BegunRun,
  gpu: Gpu,
  parameters: Parameters,
  training: TrainingStep,
  say: (text: string) => void,
): Promise<TrainingState> {
  const { format, lossScale, ...state } = saved;
  using folder = await DiskFolder.open(checkpoint);
  if (!await hasChecksums(folder)) say(withoutChecksums(checkpoint));
  if (parameters.adaptation) {
    const adapter = await Adapter.read(folder);
    await training.load(() => parameters.loadUpdates(gpu, ({ name }) => adapter.readFloat32(name)));
  } else {
    const weights = await Checkpoint.read(folder);
    await training.load(() => parameters.load(gpu, ({ name }) => weights.readFloat32(name)));
  }
  const moments = await SafetensorsFile.open(folder, OPTIMIZER_FILE);
  await readOptimizerState(moments, gpu, parameters.trainedParts, training.trained, format === 1);
  await folder.verify();
  training.lossScale.restore(lossScale);
  return state;
}

/**
 * Reads the state of the run in a checkpoint.
 *
 * @throws UserError if it is damaged, or was saved by a newer version of this program
 */
async function readTrainingState(dir: string): Promise<SavedState> {
  using folder = await DiskFolder.open(dir);
  const path = pathIn(folder, STATE_FILE);
  const text = await folder.text(STATE_FILE);
  if (text === undefined) {
    throw new UserError(
      `${path}: the state of the run is missing. Remove this checkpoint's folder to go on from the ` +
        `one before.`,
    );
  }
  const saved = parseObject(text, path);
  const { format = 1, step, steps, tokens, skipped, position, base, lossScale } = saved;
  const checks = {
    format: isCount(format),
    step: isCount(step),
    tokens: isCount(tokens),
    skipped: isCount(skipped),
    position: isRecord(position) && isCount(position.epoch) && isCount(position.index),
    steps: steps === undefined || isCount(steps),
    base: base === undefined || isRecord(base) && Object.values(base).every(isFileSum),
    lossScale: isRecord(lossScale) && isCount(lossScale.calm) &&
      typeof lossScale.value === "number",
  };
  const damaged = Object.entries(checks).filter(([, right]) => !right).map(([key]) => `"${key}"`);
  if (damaged.length > 0) {
    throw new UserError(
      `${path}: ${damaged.join(", ")} missing or damaged. Remove this checkpoint's folder to go ` +
        `on from the one before.`,
    );
  }
  if (Number(format) > FORMAT) {
    throw new UserError(
      `${path}: "format" is ${format}, but this version of the program knows formats up to ` +
        `${FORMAT}: go on with the version that saved it`,
    );
  }
  return { ...saved, format } as SavedState;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Removes all but the `keep` newest checkpoints of a run. */
export async function removeOldCheckpoints(run: string, keep: number): Promise<void> {
  for (const folder of (await checkpointsOf(run)).slice(0, -keep)) {
    await Deno.remove(folder, { recursive: true });
  }
}
