import { UserError } from "../../kernels/runtime/user-error.ts";

/** Whether there is such a file or folder. @throws UserError if that cannot be told */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    const { NotFound, NotADirectory } = Deno.errors;
    if (error instanceof NotFound || error instanceof NotADirectory) return false;
    throw new UserError(`${path}: cannot be read: ${(error as Error).message}`);
  }
}
