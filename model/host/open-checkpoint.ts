import { basename, dirname } from "node:path";
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import { SafetensorsFile } from "../checkpoint/safetensors.ts";
import { DiskFolder, openFolder } from "./disk-folder.ts";

/**
 * Opens a checkpoint on this machine's disk.
 *
 * @param dir folder of a checkpoint, or of a training run for its newest one
 * @throws UserError for a file that is missing or damaged, and one error that lists every missing,
 *   extra and misshapen tensor
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const folder = await openFolder(dir);
  return await closedOnError(folder, () => Checkpoint.read(folder));
}

/** Opens one safetensors file. @throws UserError if it cannot be read or is damaged */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const folder = await DiskFolder.open(dirname(path));
  return await closedOnError(folder, () => SafetensorsFile.open(folder, basename(path)));
}

async function closedOnError<T>(folder: DiskFolder, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    folder.close();
    throw error;
  }
}
