import { type Implementation, openGpu } from "../../kernels/host/open-gpu.ts";
import { Gpu } from "../../kernels/runtime/device.ts";
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import type { LanguageModel } from "../inference/language-model.ts";
import { loadCheckpoint } from "../inference/load-checkpoint.ts";
import type { Precision } from "../network/precision.ts";
import { hasChecksums, withoutChecksums } from "./checksums.ts";
import { openFolder } from "./disk-folder.ts";

/** Where a model computes, and in which arithmetic. */
export interface LoadOptions {
  /**
   * An open GPU, which several models may share; or which WebGPU implementation to open one with.
   * `auto` takes the best one there is.
   */
  gpu?: Gpu | Implementation;
  /** `auto` is mixed on a GPU with f16, and f32 elsewhere. */
  precision?: Precision;
  /** Called with a line of text if the folder has no checksums, so that damage would not be seen. */
  onMessage?: (text: string) => void;
}

/**
 * Loads a checkpoint in Hugging Face's layout onto a GPU. Closing the model closes the GPU that was
 * opened for it; a GPU that was handed in stays open.
 *
 * @param from folder of a checkpoint, or of a training run for its newest one; or a checkpoint's
 *   files, which stay open
 * @throws UserError naming what is wrong with the files, damage to a checkpoint that this program
 *   saved included, or if there is no GPU or too little memory
 */
export async function loadModel(
  from: string | CheckpointFiles,
  { gpu = "auto", precision, onMessage }: LoadOptions = {},
): Promise<LanguageModel> {
  using folder = typeof from === "string" ? await openFolder(from) : undefined;
  if (folder && !await hasChecksums(folder)) onMessage?.(withoutChecksums(folder.dir));
  const checkpoint = await Checkpoint.read(folder ?? from as CheckpointFiles);
  if (gpu instanceof Gpu) return await loadCheckpoint(checkpoint, gpu, { precision });
  const opened = await openGpu(gpu);
  try {
    return await loadCheckpoint(checkpoint, opened, { precision, ownsGpu: true });
  } catch (error) {
    opened.close();
    throw error;
  }
}
