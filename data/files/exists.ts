import { isMissing } from "./error-code.ts";
import { readError } from "./read-error.ts";

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
