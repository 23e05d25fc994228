import { type OnRead, readBytes } from "./bytes.ts";
import { withLineFeeds } from "../../text/line-ends.ts";
import { joined } from "../../files/joined.ts";
import {
  batchOf,
  LONGEST_RECORD,
  type RecordBatch,
  type ReportRecord,
  TOO_LONG,
} from "./record-batch.ts";

/** A file of plain text: one document, as in Data-Juicer, its lines ended by `\n`. */
export async function* readTextFile(
  path: string,
  report: ReportRecord,
  onRead?: OnRead,
): AsyncGenerator<RecordBatch> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(path, onRead)) {
    length += chunk.length;
    if (length > LONGEST_RECORD) return report(1, `${TOO_LONG}: split it into documents`);
    parts.push(chunk);
  }
  if (length === 0) return;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(joined(parts));
    yield batchOf([{ text: withLineFeeds(text) }], 1);
  } catch {
    report(1, "it is not UTF-8");
  }
}
