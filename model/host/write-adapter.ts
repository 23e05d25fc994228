import { join } from "node:path";
import type { FileSum } from "../../data/files/checksum.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { ADAPTER_FILE } from "../checkpoint/adapter.ts";
import type { TensorValues } from "../checkpoint/safetensors-encoder.ts";
import type { FloatDtype } from "../checkpoint/safetensors-header.ts";
import type { Parameter } from "../network/layer.ts";
import { writeSafetensors } from "./write-safetensors.ts";

/** What an adapter is written from. */
export interface AdapterContents {
  /** Its parameters, under PEFT's names. */
  readonly parts: readonly Parameter[];
  /** The type that they are written in. */
  readonly dtype: FloatDtype;
  /** Gives a parameter's values, row-major, by its name. */
  readonly tensors: TensorValues;
  /** Further files by name: `adapter_config.json`, and the tokenizer's. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Writes an adapter that PEFT reads into a folder that is there.
 *
 * @returns the sum of each file, by name
 */
export async function writeAdapterFiles(
  folder: string,
  { parts, dtype, tensors, files }: AdapterContents,
): Promise<Record<string, FileSum>> {
  const entries = parts.map(({ name, shape }) => ({ name, shape, dtype }));
  const path = join(folder, ADAPTER_FILE);
  const sums: Record<string, FileSum> = {
    [ADAPTER_FILE]: await writeSafetensors(path, entries, tensors),
  };
  for (const [name, text] of Object.entries(files)) {
    sums[name] = await WholeFile.write(join(folder, name), text);
  }
  return sums;
}
