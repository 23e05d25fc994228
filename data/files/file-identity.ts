import { UserError } from "../../kernels/runtime/user-error.ts";
import { readError } from "./file-errors.ts";

/**
 * Identifies the content of a file by its path, size and time of change; JSON.
 *
 * @throws UserError if there is no such file
 */
export async function fileIdentity(path: string): Promise<unknown> {
  const { size, mtime, isFile } = await Deno.stat(path).catch((error) => {
    throw readError(error, path);
  });
  if (!isFile) throw new UserError(`${path}: it is not a file`);
  return { path, size, changed: mtime?.getTime() };
}
