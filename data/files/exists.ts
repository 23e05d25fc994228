import { isMissing, readError } from "./file-errors.ts";

/** Whether there is such a file or folder. @throws UserError if this cannot be found out */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw readError(error, path);
  }
}

/** Whether there is a folder of this name, or a link to one. */
export async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
