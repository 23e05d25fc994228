import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { readError } from "../../files/file-errors.ts";
import { DamagedFile, type OnRead } from "./bytes.ts";
import { batchOf, type RecordBatch } from "./record-batch.ts";

/** Rows in a batch. */
const ROWS = 256;

/** The rows of a Parquet file; a row group is held at a time. */
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
    const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd })
      .catch((error) => {
        throw new DamagedFile(`${path}, rows from ${rowStart + 1} on: damaged (${error.message})`);
      });
    for (let i = 0; i < rows.length; i += ROWS) {
      yield batchOf(rows.slice(i, i + ROWS), rowStart + i + 1);
    }
    onRead(file.byteLength * (rowEnd - rowStart) / Number(metadata.num_rows));
    rowStart = rowEnd;
  }
}
