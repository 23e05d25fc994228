import type { AsyncBuffer, Compressors, RowGroup } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { parquetHeader } from "hyparquet/column.js";
import { crc32, gunzipSync } from "node:zlib";
import { isImplausible, MOST_RATIO } from "./bytes.ts";

/** A row group is held in memory: no more rows and values of a page than this are believed. */
const MOST_ROWS = 1 << 24;

/**
 * The decompressors of pages. Their checksums are compared where the library's own does not, and
 * they refuse a page that claims to become implausibly large.
 */
export const pageDecompressors: Compressors = Object.fromEntries(
  Object.entries({ ...compressors, GZIP: gunzipped })
    .map(([codec, decompress]) => [codec, (input: Uint8Array, length: number) => {
      if (isImplausible(length, input.length)) {
        throw new Error(`a page claims to be more than ${MOST_RATIO} times its compressed size`);
      }
      return decompress(input, length);
    }]),
);

function gunzipped(input: Uint8Array, length: number): Uint8Array {
  return gunzipSync(input, { maxOutputLength: Math.max(1, length) });
}

/**
 * Compares the pages of a row group with their checksums, where they have any: `hyparquet` does not.
 *
 * @throws Error for a page that its checksum does not fit, for a header that cannot be read, and for
 *   more rows or values than can be meant
 */
export async function checkPages(file: AsyncBuffer, group: RowGroup): Promise<void> {
  if (group.num_rows > MOST_ROWS) throw new Error(`${group.num_rows} rows in one row group`);
  for (const { meta_data: column } of group.columns) {
    if (column === undefined) continue;
    const { dictionary_page_offset, data_page_offset, total_compressed_size } = column;
    const start = Number(dictionary_page_offset || data_page_offset);
    const chunk = await file.slice(start, start + Number(total_compressed_size));
    const reader = { view: new DataView(chunk), offset: 0 };
    // The reader of the format itself leaves a last byte alone.
    while (reader.offset < chunk.byteLength - 1) {
      const header = parquetHeader(reader);
      const { compressed_page_size: size, crc } = header;
      const { num_values = 0 } = header.data_page_header ?? header.data_page_header_v2 ??
        header.dictionary_page_header ?? {};
      if (!(num_values >= 0 && num_values <= MOST_ROWS)) {
        throw new Error(`a page of ${num_values} values`);
      }
      const page = new Uint8Array(chunk, reader.offset, size);
      if (crc !== undefined && crc32(page) !== crc >>> 0) {
        throw new Error(`a page of ${column.path_in_schema.join(".")} does not fit its checksum`);
      }
      reader.offset += size;
    }
  }
}
