import { DamagedFile, type OnRead, readBytes } from "./bytes.ts";
import { joined } from "../../files/joined.ts";
import { LONGEST_RECORD, type RecordBatch, type ReportRecord, TOO_LONG } from "./record-batch.ts";

/**
 * The elements of a file that is one JSON array, without holding the array in memory: only strings,
 * brackets and commas are examined; the elements are parsed later.
 */
export async function* readJsonArray(
  path: string,
  report: ReportRecord,
  onRead?: OnRead,
): AsyncGenerator<RecordBatch> {
  const scanner = new ArrayScanner();
  let number = 1;
  let held: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  for await (const chunk of readBytes(path, onRead)) {
    const bytes = joined([held, chunk]);
    const bounds = scanner.scan(bytes, held.length);
    if (scanner.trailing) throw new DamagedFile(`${path} goes on after the end of its array`);
    held = scanner.keep(bytes);
    if (bounds.length > 0) {
      yield { bytes, bounds: Uint32Array.from(bounds), first: number };
      number += bounds.length / 2;
    }
    if (held.length > LONGEST_RECORD) {
      report(number, TOO_LONG);
      throw new DamagedFile(`${path}: entry ${number} does not end; the rest is passed over`);
    }
  }
  if (!scanner.closed) throw new DamagedFile(`${path} is cut short: its array is not closed`);
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5C, 0x2C];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5B, 0x5D, 0x7B, 0x7D];

/** Finds the elements of an array in the bytes of its file, given piece by piece. */
class ArrayScanner {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #start = -1;
  closed = false;
  /** Whether anything but white space follows the array. */
  trailing = false;

  /** The starts and ends of the elements that end in `bytes` from `from` on. */
  scan(bytes: Uint8Array, from: number): number[] {
    const bounds: number[] = [];
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i];
      if (this.#escaped) this.#escaped = false;
      else if (this.#inString) {
        if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (this.closed) this.trailing ||= byte > 0x20;
      else if (this.#depth === 1 && (byte === COMMA || byte === CLOSE_BRACKET)) {
        if (this.#start >= 0) bounds.push(this.#start, i);
        this.#start = -1;
        this.closed = byte === CLOSE_BRACKET;
      } else {
        if (this.#depth === 1 && this.#start < 0 && byte > 0x20) this.#start = i;
        if (byte === QUOTE) this.#inString = true;
        else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) this.#depth++;
        else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) this.#depth--;
      }
    }
    return bounds;
  }

  /** The bytes of the element that is not complete yet, to be put before the next bytes. */
  keep(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    if (this.#start < 0) return new Uint8Array(0);
    const kept = bytes.slice(this.#start);
    this.#start = 0;
    return kept;
  }
}
