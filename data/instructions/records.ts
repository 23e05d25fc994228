import { withoutCompression } from "../readers/files/bytes.ts";
import { openFile } from "../readers/read-file.ts";
import { BadRecord, parseRecord } from "../readers/record.ts";
import { UnusableExample } from "./conversation.ts";
import { readCsv } from "./csv-records.ts";
import type { RawRecord, ReadRecord } from "./raw-record.ts";

/**
 * The records of a file of JSON lines, of one JSON array, of Parquet or of CSV, one at a time.
 *
 * @throws UserError if the file cannot be read or is damaged
 */
export async function* readRecords(path: string): AsyncGenerator<ReadRecord> {
  if (withoutCompression(path).endsWith(".csv")) return yield* readCsv(path);
  const unreadable: ReadRecord[] = [];
  const { unit, batches } = await openFile(
    path,
    (number, reason) =>
      unreadable.push({ place: `${unit} ${number}`, record: new UnusableExample(reason) }),
  );
  for await (const { bytes, bounds, first } of batches) {
    for (let i = 0; 2 * i < bounds.length; i++) {
      const record = parse(bytes.subarray(bounds[2 * i], bounds[2 * i + 1]));
      if (record) yield { place: `${unit} ${first + i}`, record };
    }
  }
  yield* unreadable;
}

function parse(bytes: Uint8Array): RawRecord | UnusableExample | undefined {
  try {
    return parseRecord(bytes);
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    return new UnusableExample(error.message);
  }
}
