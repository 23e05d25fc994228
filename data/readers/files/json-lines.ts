import { type OnRead, readBytes } from "./bytes.ts";
import { joined } from "../../files/joined.ts";
import { LONGEST_RECORD, type RecordBatch, type ReportRecord, TOO_LONG } from "./record-batch.ts";

const NEWLINE = 0x0A;
const RETURN = 0x0D;

/**
 * The lines of a file, which end in `\n`, `\r\n` or `\r`. Empty lines count as records too, so that
 * the number of a record is that of its line.
 */
export async function* readJsonLines(
  path: string,
  report: ReportRecord,
  onRead?: OnRead,
): AsyncGenerator<RecordBatch> {
  let number = 1;
  let begun: Uint8Array[] = [];
  let begunLength = 0;
  let skipping = false;
  for await (let chunk of withoutLoneReturns(readBytes(path, onRead))) {
    if (skipping) {
      const end = chunk.indexOf(NEWLINE);
      if (end < 0) continue;
      chunk = chunk.subarray(end + 1);
      skipping = false;
      number++;
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const batch = linesOf(joined([...begun, chunk.subarray(0, end)]), number);
      number += batch.bounds.length / 2;
      yield batch;
      begun = [];
      begunLength = 0;
    }
    begun.push(chunk.subarray(end));
    begunLength += chunk.length - end;
    if (begunLength > LONGEST_RECORD) {
      report(number, TOO_LONG);
      skipping = true;
      begun = [];
      begunLength = 0;
    }
  }
  if (begunLength > 0) yield linesOf(joined(begun), number);
}

function linesOf(bytes: Uint8Array<ArrayBuffer>, first: number): RecordBatch {
  const bounds: number[] = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    bounds.push(start, end);
    start = end + 1;
  }
  return { bytes, bounds: Uint32Array.from(bounds), first };
}

/** The same bytes with `\n` for each `\r` that none follows; before one, JSON takes it for a space. */
async function* withoutLoneReturns(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let endsInReturn = false;
  for await (let chunk of chunks) {
    if (endsInReturn) chunk = joined([Uint8Array.of(RETURN), chunk]);
    endsInReturn = chunk.at(-1) === RETURN;
    if (endsInReturn) chunk = chunk.subarray(0, -1);
    for (let at = chunk.indexOf(RETURN); at >= 0; at = chunk.indexOf(RETURN, at + 1)) {
      if (chunk[at + 1] !== NEWLINE) chunk[at] = NEWLINE;
    }
    yield chunk;
  }
  if (endsInReturn) yield Uint8Array.of(NEWLINE);
}
