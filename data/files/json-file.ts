import { parseObject } from "./json.ts";
import { readText } from "./text-file.ts";

/** Reads a JSON file. @throws UserError if there is none, or if it is not a JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  return parseObject(await readText(path), path);
}
