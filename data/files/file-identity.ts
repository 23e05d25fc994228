import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";

/** What changes when a file does; JSON. Throws UserError if there is no such file. */
export async function fileIdentity(path: string): Promise<unknown> {
  try {
    const { size, mtime, isFile } = await Deno.stat(path);
    if (!isFile) throw new Error("it is not a file");
    return { path, size, changed: mtime?.getTime() };
  } catch (error) {
    throw new UserError(`${path} cannot be read: ${messageOf(error)}`);
  }
}
