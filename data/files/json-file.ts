import { parseObject } from "./json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { writeError } from "./write-error.ts";

/** Reads a JSON file. @throws UserError if there is none, or if it is not a JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readIfThere(path);
  if (text === undefined) throw new UserError(`${path}: there is no such file`);
  return parseObject(text, path);
}

/** The text of a file; undefined if there is none. @throws UserError if it cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new UserError(`${path}: cannot be read: ${(error as Error).message}`);
  }
}

/** Writes a text file. @throws UserError if it cannot be written */
export async function writeText(path: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await Deno.writeFile(path, bytes).catch((error) => {
    throw writeError(error, path, bytes.length);
  });
}
