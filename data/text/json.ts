/** JSON as text; nothing here reads or writes files. */
import { isRecord } from "../files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** Parses the text of the file `path`. @throws UserError if it is not JSON */
export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path}: not valid JSON: ${(error as Error).message}`);
  }
}

/** Parses the text of the file `path`. @throws UserError if it is not a JSON object */
export function parseObject(text: string, path: string): Record<string, unknown> {
  const json = parseJson(text, path);
  if (!isRecord(json)) throw new UserError(`${path}: expected a JSON object`);
  return json;
}

/** Formats JSON with indentation, as Hugging Face writes its files. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}
