import { type Implementation, openGpu } from "../../kernels/host/open-gpu.ts";
import { Gpu } from "../../kernels/runtime/device.ts";
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import type { LanguageModel } from "../inference/language-model.ts";
import { loadCheckpoint } from "../inference/load-checkpoint.ts";
import type { Precision } from "../network/precision.ts";
import { hasChecksums, withoutChecksums } from "./checksums.ts";
import { type OpenModel, openModel } from "./open-model.ts";

/** Where a model computes, and in which arithmetic. */
export interface LoadOptions {
  /**
   * An open GPU, which several models may share; or which WebGPU implementation to open one with.
   * `auto` takes the best one there is.
   */
  gpu?: Gpu | Implementation;
  /** `auto` is mixed on a GPU with f16, and f32 elsewhere. */
  precision?: Precision;
  /** Folder of an adapter in PEFT's format that changes the model; only of a model on a disk. */
  adapter?: string;
  /** Called with a line of text if the folder has no checksums, so that damage would not be seen. */
  onMessage?: (text: string) => void;
}

/**
 * Loads a checkpoint in Hugging Face's layout onto a GPU. Closing the model closes the GPU that was
 * opened for it; a GPU that was handed in stays open.
 *
 * @param from folder of a checkpoint or of an adapter, or of a training run for its newest one; or a
 *   checkpoint's files, which stay open
 * @throws UserError naming what is wrong with the files, damage to a checkpoint that this program
 *   saved included, or if there is no GPU or too little memory
 */
export async function loadModel(
  from: string | CheckpointFiles,
  { gpu = "auto", precision, adapter: adapterDir, onMessage }: LoadOptions = {},
): Promise<LanguageModel> {
  using onDisk = typeof from === "string" ? await openModel(from, adapterDir) : undefined;
  if (onDisk) await sayWithoutChecksums(onDisk, onMessage);
  const checkpoint = onDisk?.checkpoint ?? await Checkpoint.read(from as CheckpointFiles);
  const options = { adapter: onDisk?.adapter, precision };
  if (gpu instanceof Gpu) return await loadCheckpoint(checkpoint, gpu, options);
  const opened = await openGpu(gpu);
  try {
    return await loadCheckpoint(checkpoint, opened, { ...options, ownsGpu: true });
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function sayWithoutChecksums(
  { checkpoint, adapter }: OpenModel,
  say: LoadOptions["onMessage"],
): Promise<void> {
  for (const { files } of [checkpoint, ...adapter ? [adapter] : []]) {
    if (!await hasChecksums(files)) say?.(withoutChecksums(files.dir));
  }
}
