import type { FileSum } from "../../data/files/checksum.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { SafetensorsEncoder, type TensorValues } from "../checkpoint/safetensors-encoder.ts";
import type { TensorEntry } from "../checkpoint/safetensors-header.ts";

/**
 * Writes a safetensors file tensor by tensor and waits until it is on the disk.
 *
 * @param values gives a tensor's values; see {@linkcode SafetensorsEncoder.bytes}
 * @returns the file's sum
 * @throws UserError when the disk is full; the unfinished file is removed
 */
export async function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
  values: TensorValues,
): Promise<FileSum> {
  const encoder = new SafetensorsEncoder(entries);
  await using file = await WholeFile.create(path, encoder.size);
  for await (const bytes of encoder.bytes(values)) await file.append(bytes);
  await file.finish();
  return file.sum;
}
