import { join } from "node:path";
import { writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import type { FileSum } from "../../data/files/checksum.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { configFiles } from "../checkpoint/config-files.ts";
import type { TensorValues } from "../checkpoint/safetensors-encoder.ts";
import type { FloatDtype } from "../checkpoint/safetensors-header.ts";
import type { ModelConfig } from "../network/config.ts";
import { parameterShapes } from "../network/parameter-shapes.ts";
import { writeWeights } from "./write-weights.ts";

/** What a checkpoint is written from. */
export interface CheckpointContents {
  /** The model's configuration, which `config.json` keeps. */
  config: ModelConfig;
  /** The type that every weight is written in. */
  dtype: FloatDtype;
  /** Gives a parameter's values, row-major, by its published name. */
  tensors: TensorValues;
  /** Further files by name, such as the tokenizer's; they win over the ones written here. */
  files?: Record<string, string>;
  /** More bytes of weights than this are spread over several files. */
  maxShardBytes?: number;
}

/**
 * Writes a checkpoint that Hugging Face's tools read; killed at any moment, it leaves the one that
 * was there before or the new one.
 *
 * @throws UserError when the disk is full
 */
export function writeCheckpoint(dir: string, contents: CheckpointContents): Promise<void> {
  return writeFolderAtomically(dir, async (aside) => {
    await writeCheckpointFiles(aside, contents);
  });
}

/**
 * Writes a checkpoint's files into a folder that is there, for callers that add files of their own.
 *
 * @returns the sum of each file, by name
 */
export async function writeCheckpointFiles(
  folder: string,
  { config, dtype, tensors, files = {}, maxShardBytes = 5e9 }: CheckpointContents,
): Promise<Record<string, FileSum>> {
  const entries = parameterShapes(config).map((parameter) => ({ ...parameter, dtype }));
  const sums = await writeWeights(folder, entries, tensors, maxShardBytes);
  for (const [name, text] of Object.entries({ ...configFiles(config, dtype), ...files })) {
    sums[name] = await WholeFile.write(join(folder, name), text);
  }
  return sums;
}
