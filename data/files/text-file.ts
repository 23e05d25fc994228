import { isMissing } from "./error-code.ts";
import { readError } from "./read-error.ts";

/** The text of a file. @throws UserError if it cannot be read */
export async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw readError(error, path);
  }
}

/** The same, synchronously. @throws UserError if it cannot be read */
export function readTextSync(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw readError(error, path);
  }
}

/** The text of a file; undefined if there is none. @throws UserError if it cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readError(error, path);
  }
}

/** The same, synchronously. @throws UserError if it cannot be read */
export function readIfThereSync(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readError(error, path);
  }
}
