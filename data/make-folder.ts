import { UserError } from "../kernels/user-error.ts";
import { messageOf } from "./error-message.ts";

/** Makes a folder, and those above it, unless it is there. Throws UserError if it cannot be made. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw new UserError(`${path}: this folder cannot be made: ${messageOf(error)}`);
  }
}
