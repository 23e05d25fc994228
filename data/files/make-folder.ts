import { dirname } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isFolder } from "./exists.ts";
import { writeError } from "./file-errors.ts";

/** Makes a folder, and those above it, unless it is there. @throws UserError if that fails */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    const { AlreadyExists, NotADirectory } = Deno.errors;
    const isFileInTheWay = error instanceof AlreadyExists || error instanceof NotADirectory;
    if (!isFileInTheWay) throw writeError(error, path);
    throw new UserError(`${path}: this folder cannot be made: there is a file of that name`);
  }
}

/**
 * Makes the folder in which a file will be written.
 *
 * @throws UserError if that fails, or if a folder has the file's name
 */
export async function makeFolderOf(path: string): Promise<void> {
  if (await isFolder(path)) throw new UserError(`${path} is a folder: give the name of a file`);
  await makeFolder(dirname(path));
}
