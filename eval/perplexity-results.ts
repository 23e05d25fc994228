import { join } from "node:path";
import { WholeFile } from "../data/files/whole-file.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import { readIfThere } from "../data/files/text-file.ts";
import { formatJson, parseObject } from "../data/text/json.ts";
import { isRecord } from "../data/files/is-record.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import type { Perplexity, Prediction } from "./perplexity.ts";

/** The file of a perplexity's figures, in the folder that `--out` names. */
export const PERPLEXITY_FILE = "perplexity.json";

/** What was measured on a text. */
export interface PerplexityResults {
  /** The checkpoint. */
  model: string;
  /** Tokens of the longest pass. */
  window: number;
  /** The figures of each source of the text, by how tokens were predicted. */
  sources: Record<string, Partial<Record<Prediction, Perplexity>>>;
}

/** Keeps the figures in a folder. @throws {UserError} when they cannot be written */
export async function writePerplexity(folder: string, results: PerplexityResults): Promise<void> {
  await makeFolder(folder);
  await WholeFile.write(join(folder, PERPLEXITY_FILE), formatJson(results));
}

/** The figures in a folder; undefined if there are none. @throws {UserError} if they are damaged */
export async function readPerplexity(folder: string): Promise<PerplexityResults | undefined> {
  const path = join(folder, PERPLEXITY_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const results = parseObject(text, path);
  if (!isRecord(results.sources) || !Object.values(results.sources).every(isRecord)) {
    throw new UserError(`${path}: not the figures of deno task eval ppl`);
  }
  return results as unknown as PerplexityResults;
}

/** Bits per byte over all sources of a text; undefined where one of them was not measured so. */
export function totalBitsPerByte(
  { sources }: PerplexityResults,
  way: Prediction,
): number | undefined {
  const all = Object.values(sources).map((source) => source[way]);
  if (all.length === 0 || all.some((found) => found === undefined)) return undefined;
  const bytes = all.reduce((sum, found) => sum + found!.bytes, 0);
  return all.reduce((sum, found) => sum + found!.bitsPerByte * found!.bytes, 0) / bytes;
}
