import { dirname } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";
import { isFolder } from "./is-folder.ts";

/** Makes a folder, and those above it, unless it is there. Throws UserError if it cannot be made. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw new UserError(`${path}: this folder cannot be made: ${messageOf(error)}`);
  }
}

/**
 * Makes the folder in which a file will be written. Throws UserError if it cannot be made, or if a
 * folder has the file's name.
 */
export async function makeFolderOf(path: string): Promise<void> {
  if (await isFolder(path)) throw new UserError(`${path} is a folder: give the name of a file`);
  await makeFolder(dirname(path));
}
