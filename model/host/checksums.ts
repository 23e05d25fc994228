/** The checksums of a checkpoint that this program saved in training: `checksums.json`. */
import { join } from "node:path";
import { type FileSum, isFileSum } from "../../data/files/checksum.ts";
import { formatJson, parseObject } from "../../data/text/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import type { TextFolder } from "../../data/files/text-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** The file that holds them. */
export const CHECKSUMS_FILE = "checksums.json";

/** The sum of each file of a checkpoint but this one, by name. */
export type Checksums = Readonly<Record<string, FileSum>>;

/** Writes them into a checkpoint's folder. */
export async function writeChecksums(folder: string, sums: Checksums): Promise<void> {
  await WholeFile.write(join(folder, CHECKSUMS_FILE), formatJson(sums));
}

/**
 * Reads them.
 *
 * @returns undefined if there are none, as in checkpoints of other programs
 * @throws UserError if they are damaged
 */
export async function readChecksums(folder: string): Promise<Checksums | undefined> {
  const path = join(folder, CHECKSUMS_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const sums = Object.entries(parseSums(text, path, folder));
  return Object.fromEntries(sums.map(([name, sum]) => {
    if (!isFileSum(sum) || /[/\\]/.test(name)) throw damaged(path, folder);
    return [name, sum];
  }));
}

/** Whether there are any; checkpoints of other programs have none. */
export async function hasChecksums(folder: TextFolder): Promise<boolean> {
  return await folder.text(CHECKSUMS_FILE) !== undefined;
}

/** What to say of a checkpoint that has none. */
export function withoutChecksums(folder: string): string {
  return `${folder} has no ${CHECKSUMS_FILE}: its files are taken as they are.`;
}

/** The error to throw where a file of a checkpoint is not as it was written. */
export function damaged(path: string, folder: string): UserError {
  return new UserError(
    `${path}: the file is damaged or was changed: it does not fit the checksums in ` +
      `${CHECKSUMS_FILE}. Remove the folder ${folder} to go on from the checkpoint before it, or ` +
      `put the file back; to keep a change of your own, remove ${CHECKSUMS_FILE}`,
  );
}

function parseSums(text: string, path: string, folder: string): Record<string, unknown> {
  try {
    return parseObject(text, path);
  } catch {
    throw damaged(path, folder);
  }
}
