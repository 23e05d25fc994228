import { parseObject } from "../text/json.ts";
import { fileText } from "./text-file.ts";

/** Reads a JSON file. @throws UserError if there is none, or if it is not a JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  return parseObject(await fileText(path), path);
}
