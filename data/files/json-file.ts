import { isRecord } from "./is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { writeError } from "./write-error.ts";

/** Reads a JSON file. @throws UserError if there is none, or if it is not a JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readIfThere(path);
  if (text === undefined) throw new UserError(`${path}: there is no such file`);
  return parseObject(text, path);
}

/** Parses the text of the file `path`. @throws UserError if it is not a JSON object */
export function parseObject(text: string, path: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path}: not valid JSON: ${(error as Error).message}`);
  }
  if (!isRecord(json)) throw new UserError(`${path}: expected a JSON object`);
  return json;
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

/** Indented, as Hugging Face writes its files. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}

/** Writes a text file. @throws UserError if it cannot be written */
export async function writeText(path: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await Deno.writeFile(path, bytes).catch((error) => {
    throw writeError(error, path, bytes.length);
  });
}
