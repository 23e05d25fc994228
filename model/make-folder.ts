import { UserError } from "../kernels/user-error.ts";

/** Makes a folder and those above it. @throws UserError if it cannot be, as where a file is */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw new UserError(`${path}: this folder cannot be made: ${(error as Error).message}`);
  }
}
