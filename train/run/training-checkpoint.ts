import { join } from "node:path";
import { writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { isRecord } from "../../data/files/is-record.ts";
import { readJson } from "../../data/files/json-file.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { checkpointFolder, checkpointName, checkpointsOf } from "../../model/host/run-folder.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import type { LossScaleState } from "../step/loss-scale.ts";
import type { TrainingStep } from "../step/training-step.ts";
import { readOptimizerState, writeOptimizerState } from "./optimizer-state.ts";
import { writeCheckpointFiles } from "../../model/host/write-checkpoint.ts";

/** Where a run stands; JSON. */
export interface TrainingState {
  /** Optimizer steps done. */
  step: number;
  /** Tokens trained on. */
  tokens: number;
  /** Steps of these that were skipped because a gradient overflowed in f16. */
  skipped: number;
  /** What the source of the batches needs to go on from there: at least `epoch` and `index`. */
  position: unknown;
}

/** The state as it is saved, with what belongs to the step. */
interface SavedState extends TrainingState {
  /** How the files beside it are laid out; 1 where it is not there. */
  format: number;
  lossScale: LossScaleState;
}

const STATE_FILE = "training-state.json";
const OPTIMIZER_FILE = "optimizer.safetensors";
/** The first to keep AdamW's moments by published parameter. */
const FORMAT = 2;

/**
 * Writes a checkpoint from which training goes on bit for bit: the model in Hugging Face's layout,
 * AdamW's moments, and where the run stands. A kill at any moment leaves earlier ones whole.
 *
 * @param files the tokenizer's files, by name
 * @returns its folder, RUN/checkpoints/step-NNNNNNN
 */
export async function saveTraining(
  run: string,
  gpu: Gpu,
  parameters: Parameters,
  training: TrainingStep,
  state: TrainingState,
  files: Record<string, string>,
): Promise<string> {
  const saved: SavedState = { format: FORMAT, ...state, lossScale: training.lossScale.state };
  const folder = join(checkpointFolder(run), checkpointName(state.step));
  await writeFolderAtomically(folder, async (aside) => {
    await writeCheckpointFiles(aside, {
      config: parameters.config,
      dtype: "F32",
      tensors: (name) => parameters.read(gpu, name),
      files: { ...files, [STATE_FILE]: JSON.stringify(saved) },
    });
    const path = join(aside, OPTIMIZER_FILE);
    await writeOptimizerState(path, gpu, parameters.parts, training.trained);
  });
  return folder;
}

/** Reads AdamW's moments and the state back; the weights are read like any checkpoint's. */
export async function restoreTraining(
  folder: string,
  gpu: Gpu,
  parameters: Parameters,
  training: TrainingStep,
): Promise<TrainingState> {
  const { format, lossScale, ...state } = await readTrainingState(folder);
  const path = join(folder, OPTIMIZER_FILE);
  await readOptimizerState(path, gpu, parameters.parts, training.trained, format === 1);
  training.lossScale.restore(lossScale);
  return state;
}

/**
 * Where the run stood that saved this checkpoint.
 *
 * @throws UserError if that is damaged, or of a newer version of this program
 */
export async function readTrainingState(folder: string): Promise<SavedState> {
  const path = join(folder, STATE_FILE);
  const saved = await readJson(path);
  const { format = 1, step, tokens, skipped, position, lossScale } = saved;
  const checks = {
    format: isCount(format),
    step: isCount(step),
    tokens: isCount(tokens),
    skipped: isCount(skipped),
    position: isRecord(position) && isCount(position.epoch) && isCount(position.index),
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
