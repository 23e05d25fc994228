import { UserError } from "../../kernels/runtime/user-error.ts";
import { type OnRead, readBytes, withoutCompression } from "./files/bytes.ts";
import { readJsonArray } from "./files/json-array.ts";
import { readJsonLines } from "./files/json-lines.ts";
import { readParquet } from "./files/parquet.ts";
import type { RecordBatch, ReportRecord } from "./files/record-batch.ts";
import { readTextFile } from "./files/text-file.ts";
import { DEFAULT_READING, documentsOf, type ReadDocument } from "./documents.ts";
import { describeProblem, type Problem } from "./problems.ts";

/** A file's records as they come, and what one is called. */
export interface OpenFile {
  unit: "line" | "entry" | "row" | "text";
  batches: AsyncGenerator<RecordBatch>;
}

/**
 * Opens a file of records: by its ending Parquet or plain text, else by its first character one JSON
 * array or a JSON object a line; decompressed if it ends in `.gz` or `.zst`.
 *
 * @param onRead told of the file's bytes as they are read
 * @throws UserError, also while it is read, if the file cannot be read or is damaged
 */
export async function openFile(
  path: string,
  report: ReportRecord,
  onRead?: OnRead,
): Promise<OpenFile> {
  const name = withoutCompression(path);
  if (path.endsWith(".parquet")) {
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
 * The same of a file in which nothing may be wrong.
 *
 * @throws UserError also for the first record that cannot be read, naming its place
 */
export async function* readAllDocuments(path: string): AsyncGenerator<ReadDocument> {
  yield* readDocuments(path, DEFAULT_READING, (problem) => {
    if (!problem.kept) throw new UserError(describeProblem(problem));
  });
}
