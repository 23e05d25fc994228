import { parse } from "csv-parse/sync";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../files/error-message.ts";
import { fileTextSync } from "../files/text-file.ts";
import type { ReadRecord } from "./raw-record.ts";

/** The columns of MMLU's files, which have no header. */
const MMLU_COLUMNS = ["question", "A", "B", "C", "D", "answer"];

/**
 * The rows of a table of exam questions, as C-Eval, CMMLU and MMLU publish them.
 *
 * @throws UserError if the file cannot be read or is not CSV
 */
export function* readCsv(path: string): Generator<ReadRecord> {
  const text = fileTextSync(path);
  let rows: string[][];
  try {
    rows = parse(text, { bom: true, relax_column_count: true });
  } catch (error) {
    throw new UserError(`${path}: not valid CSV: ${messageOf(error)}`);
  }
  const hasHeader = rows[0]?.some((cell) => cell.toLowerCase() === "question") ?? false;
  const columns = hasHeader ? rows[0] : MMLU_COLUMNS;
  for (const [index, row] of rows.entries()) {
    if (hasHeader && index === 0) continue;
    const record = Object.fromEntries(columns.map((column, i) => [column, row[i] ?? ""]));
    yield { place: `row ${index + 1}`, record };
  }
}
