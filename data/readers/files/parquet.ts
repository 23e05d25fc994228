import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { messageOf } from "../../text/error-message.ts";
import { readError } from "../../files/file-errors.ts";
import { DamagedFile, type OnRead } from "./bytes.ts";
import { checkPages, pageDecompressors } from "./parquet-pages.ts";
import { batchOf, type RecordBatch } from "./record-batch.ts";

/** Rows in a batch. */
const ROWS = 256;

/** The rows of a Parquet file. A row group is held at a time; checksums of pages are compared. */
export async function* readParquet(
  path: string,
  onRead: OnRead = () => {},
): AsyncGenerator<RecordBatch> {
  const file = await asyncBufferFromFile(path).catch((error) => {
    throw readError(error, path);
  });
  const metadata = await parquetMetadataAsync(file).catch((error) => {
    throw new DamagedFile(`${path} is not a Parquet file, or it is cut short (${error.message})`);
  });
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    let rows: Record<string, unknown>[];
    try {
      await checkPages(file, group);
      const options = { file, metadata, compressors: pageDecompressors };
      rows = await parquetReadObjects({ ...options, rowStart, rowEnd });
    } catch (error) {
      throw new DamagedFile(`${path}, rows from ${rowStart + 1} on: damaged (${messageOf(error)})`);
    }
    for (let i = 0; i < rows.length; i += ROWS) {
      yield batchOf(rows.slice(i, i + ROWS), rowStart + i + 1);
    }
    onRead(file.byteLength * (rowEnd - rowStart) / Number(metadata.num_rows));
    rowStart = rowEnd;
  }
}
