import { fileSum, sumInWords } from "../data/files/checksum.ts";
import { filesBelow } from "../model/runs/stage-folder.ts";

/** The size and checksum of every file below a folder, to tell whether anything in it has changed. */
export async function contentsOf(dir: string): Promise<Record<string, string>> {
  const files = (await filesBelow(dir)).sort();
  const sums = files.map(async (path) => [path, sumInWords(await fileSum(path))] as const);
  return Object.fromEntries(await Promise.all(sums));
}
