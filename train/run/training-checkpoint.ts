import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { writeCheckpointFiles } from "../../model/checkpoint/checkpoint.ts";
import { readJson } from "../../data/files/json-file.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { checkpointFolder, checkpointName, checkpointsOf } from "../../model/host/run-folder.ts";
import { SafetensorsFile, writeSafetensors } from "../../model/checkpoint/safetensors.ts";
import type { LossScaleState } from "../step/loss-scale.ts";
import type { TrainingStep } from "../step/training-step.ts";

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
type SavedState = TrainingState & { lossScale: LossScaleState };

const STATE_FILE = "training-state.json";
const OPTIMIZER_FILE = "optimizer.safetensors";

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
  const saved: SavedState = { ...state, lossScale: training.lossScale.state };
  const folder = join(checkpointFolder(run), checkpointName(state.step));
  const moments = new Map(training.trained.flatMap(({ value, mean, square }) => [
    [`mean.${value.name}`, mean],
    [`square.${value.name}`, square],
  ]));
  await writeFolderAtomically(folder, async (aside) => {
    await writeCheckpointFiles(aside, {
      config: parameters.config,
      dtype: "F32",
      tensors: (name) => parameters.read(gpu, name),
      files: { ...files, [STATE_FILE]: JSON.stringify(saved) },
    });
    await writeSafetensors(
      join(aside, OPTIMIZER_FILE),
      [...moments].map(([name, { shape }]) => ({ name, shape: [...shape], dtype: "F32" })),
      (name) => download(gpu, moments.get(name)!),
    );
  });
  return folder;
}

/** Reads AdamW's moments and the state back; the weights are read like any checkpoint's. */
export async function restoreTraining(
  folder: string,
  gpu: Gpu,
  training: TrainingStep,
): Promise<TrainingState> {
  const file = await SafetensorsFile.open(join(folder, OPTIMIZER_FILE));
  try {
    for (const { value, mean, square } of training.trained) {
      await allocate(gpu, [mean.storage, square.storage]);
      upload(gpu, mean, await readMoment(file, `mean.${value.name}`, mean));
      upload(gpu, square, await readMoment(file, `square.${value.name}`, square));
    }
  } finally {
    file.close();
  }
  const { lossScale, ...state } = await readTrainingState(folder);
  training.lossScale.restore(lossScale);
  return state;
}

/** Where the run stood that saved this checkpoint. @throws UserError if that is damaged */
export async function readTrainingState(folder: string): Promise<SavedState> {
  const path = join(folder, STATE_FILE);
  const state = await readJson(path);
  const { step, tokens, skipped, position, lossScale } = state;
  const checks = {
    step: isCount(step),
    tokens: isCount(tokens),
    skipped: isCount(skipped),
    position: isRecord(position) && isCount(position.epoch) && isCount(position.index),
    lossScale: isRecord(lossScale) && isCount(lossScale.calm) &&
      typeof lossScale.value === "number",
  };
  const damaged = Object.entries(checks).filter(([, right]) => !right).map(([key]) => `"${key}"`);
  if (damaged.length === 0) return state as unknown as SavedState;
  throw new UserError(
    `${path}: ${damaged.join(", ")} missing or damaged. Remove this checkpoint's folder to go on ` +
      `from the one before.`,
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function readMoment(file: SafetensorsFile, name: string, { shape }: Tensor) {
  const found = file.info(name).shape;
  if (String(found) === String(shape)) return file.readFloat32(name);
  throw new UserError(`${file.path}: ${name} is [${found}], expected [${shape}]`);
}

/** Removes all but the `keep` newest checkpoints of a run. */
export async function removeOldCheckpoints(run: string, keep: number): Promise<void> {
  for (const folder of (await checkpointsOf(run)).slice(0, -keep)) {
    await Deno.remove(folder, { recursive: true });
  }
}
