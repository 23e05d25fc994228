/** Marks of finished work: what came of it, and the size and checksum of each file that it made. */
import { dirname, join } from "node:path";
import { type FileSum, isAsWritten, isFileSum, isSameSum, sumOf } from "./checksum.ts";
import { isRecord } from "./is-record.ts";
import { readIfThere } from "./text-file.ts";
import { WholeFile } from "./whole-file.ts";

interface Mark {
  readonly result: unknown;
  /** The sum of the result's JSON. */
  readonly resultSum: FileSum;
  /** The sums of the files, by their names in the folder of the mark. */
  readonly files: Readonly<Record<string, FileSum>>;
}

/**
 * Writes a mark.
 *
 * @param result what a later run needs to know; JSON
 * @param files the sums of the files, by their names in the folder of the mark
 */
export async function writeMark(
  path: string,
  result: unknown,
  files: Readonly<Record<string, FileSum>>,
): Promise<void> {
  const mark: Mark = { result, resultSum: resultSum(result), files };
  await WholeFile.write(path, JSON.stringify(mark));
}

/**
 * The result of finished work; undefined if the work is to be done, or done again.
 *
 * @param say called with a line of text if the mark or a file is no longer as it was written
 */
export async function finishedResult<Result>(
  path: string,
  say: (text: string) => void,
): Promise<Result | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const mark = markIn(text);
  if (mark === undefined) {
    say(`${path} is damaged, or of another version: what it marks as finished is made again`);
    return undefined;
  }
  for (const [name, sum] of Object.entries(mark.files)) {
    const file = join(dirname(path), name);
    if (await isAsWritten(file, sum)) continue;
    say(`${file} is missing, damaged or changed: it is made again`);
    return undefined;
  }
  return mark.result as Result;
}

function markIn(text: string): Mark | undefined {
  try {
    const mark = JSON.parse(text);
    const isMark = isRecord(mark) && isFileSum(mark.resultSum) && isRecord(mark.files) &&
      Object.values(mark.files).every(isFileSum) &&
      isSameSum(resultSum(mark.result), mark.resultSum);
    return isMark ? mark as unknown as Mark : undefined;
  } catch {
    return undefined;
  }
}

function resultSum(result: unknown): FileSum {
  return sumOf(new TextEncoder().encode(JSON.stringify(result)));
}
