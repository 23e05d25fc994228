import { UserError } from "../../kernels/runtime/user-error.ts";
import { type CsvRow, parseCsv } from "../text/csv.ts";
import { joined } from "../files/joined.ts";
import { decodeUtf8 } from "../files/text-file.ts";
import { readBytes } from "../readers/files/bytes.ts";
import { LONGEST_RECORD } from "../readers/files/record-batch.ts";
import { UnusableExample } from "./conversation.ts";
import type { ReadRecord } from "./raw-record.ts";

/** The columns of MMLU's files, which have no header. */
const MMLU_COLUMNS = ["question", "A", "B", "C", "D", "answer"];

/**
 * The rows of a table: of instructions, or of exam questions as C-Eval, CMMLU and MMLU publish them.
 * The first row names the columns, but in MMLU.
 *
 * @throws UserError if the file cannot be read, is not CSV, or has two columns of one name
 */
export async function* readCsv(path: string): AsyncGenerator<ReadRecord> {
  const rows = parseCsv(decodeUtf8(await allBytes(path), path), path);
  const hasHeader = rows.length > 0 && !isMmluRow(rows[0]);
  const columns = hasHeader ? rows.shift()!.cells : MMLU_COLUMNS;
  const twice = columns.find((column, i) => column !== "" && columns.indexOf(column) < i);
  if (twice !== undefined) {
    throw new UserError(`${path}: line 1 has two columns ${twice}; leave one in`);
  }
  for (const { cells, line } of rows) {
    const record = cells.length > columns.length
      ? new UnusableExample(`it has ${cells.length} cells, but there are ${columns.length} columns`)
      : Object.fromEntries(columns.map((column, i) => [column, cells[i] ?? ""]));
    yield { place: `line ${line}`, record };
  }
}

async function allBytes(path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of readBytes(path)) {
    length += part.length;
    if (length > LONGEST_RECORD) {
      throw new UserError(
        `${path} is a table of more than ${
          LONGEST_RECORD >> 20
        } MB, which would be held in memory: ` +
          `write it as JSON lines or Parquet`,
      );
    }
    parts.push(part);
  }
  return joined(parts);
}

/** Whether a row is a question of MMLU: six cells, of which the last is a letter. */
function isMmluRow({ cells }: CsvRow): boolean {
  return cells.length === MMLU_COLUMNS.length && /^[A-D]$/.test(cells[5]);
}
