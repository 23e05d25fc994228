import { parse } from "csv-parse/sync";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";

/** A row of a table. */
export interface CsvRow {
  /** As many as the row has; rows may differ. */
  cells: string[];
  /** The number of the row's last line in its file, from 1. */
  line: number;
}

/**
 * The rows of a CSV file but empty ones, read as pandas does: lines may end in `\n`, `\r\n` or `\r`, a
 * stray quote inside a cell is text, and a quoted cell keeps its line ends as they are.
 *
 * @param where the file, for messages
 * @throws UserError if it is not CSV
 */
export function parseCsv(text: string, where: string): CsvRow[] {
  try {
    const rows = parse(text, {
      bom: true,
      info: true,
      record_delimiter: ["\r\n", "\n", "\r"],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return rows.map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    throw new UserError(`${where}: not a CSV table: ${messageOf(error)}`);
  }
}
