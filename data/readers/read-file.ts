import { UserError } from "../../kernels/runtime/user-error.ts";
import { type OnRead, readBytes, withoutCompression } from "./files/bytes.ts";
import { readJsonArray } from "./files/json-array.ts";
import { readJsonLines } from "./files/json-lines.ts";
import { readParquet } from "./files/parquet.ts";
import type { RecordBatch, ReportRecord } from "./files/record-batch.ts";
import { readTextFile } from "./files/text-file.ts";
import { DEFAULT_READING, documentsOf, type ReadDocument } from "./documents.ts";
import { describeProblem, type Problem } from "./problems.ts";

/** The records of a file, and what a record is called. */
export interface OpenFile {
  unit: "line" | "entry" | "row" | "text";
  batches: AsyncGenerator<RecordBatch>;
}

/**
 * Opens a file of records. The end of its name shows Parquet or plain text; otherwise its first
 * character shows whether it is one JSON array or JSON lines. It is decompressed if its name ends
 * in `.gz` or `.zst`.
 *
 * @param onRead called with the number of bytes as they are read
 * @throws UserError, also during reading, if the file cannot be read or is damaged
 */
export async function openFile(
  path: string,
  report: ReportRecord,
  onRead?: OnRead,
): Promise<OpenFile> {
  const name = withoutCompression(path);
  if (name.endsWith(".parquet")) {
    return { unit: "row", batches: readParquet(path, onRead) };
  }
  if (name.endsWith(".txt")) return { unit: "text", batches: readTextFile(path, report, onRead) };
  if (await firstCharacter(path) === "[") {
    return { unit: "entry", batches: readJsonArray(path, report, onRead) };
  }
  return { unit: "line", batches: readJsonLines(path, report, onRead) };
}

/** The file's first character that is not white space. */
async function firstCharacter(path: string): Promise<string | undefined> {
  for await (const chunk of readBytes(path)) {
    const text = new TextDecoder().decode(chunk).trimStart();
    if (text !== "") return text[0];
  }
  return undefined;
}

/**
 * The documents of a file of any of the paper's corpora, one at a time.
 *
 * @param onProblem called for every record that is passed over, or is odd
 * @throws UserError if the file cannot be read or is damaged
 */
export async function* readDocuments(
  path: string,
  rules = DEFAULT_READING,
  onProblem: (problem: Problem) => void = () => {},
): AsyncGenerator<ReadDocument> {
  const { unit, batches } = await openFile(
    path,
    (number, reason) => onProblem({ file: path, place: `${unit} ${number}`, reason, kept: false }),
  );
  for await (const batch of batches) {
    const { documents, problems } = documentsOf(batch, path, unit, rules);
    problems.forEach(onProblem);
    yield* documents;
  }
}

/**
 * The documents of a file of which every record can be read.
 *
 * @throws UserError if the file or a record cannot be read, naming its place
 */
export async function* readAllDocuments(path: string): AsyncGenerator<ReadDocument> {
  yield* readDocuments(path, DEFAULT_READING, (problem) => {
    if (!problem.kept) throw new UserError(describeProblem(problem));
  });
}
