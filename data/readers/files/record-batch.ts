import { joined } from "../../files/joined.ts";
import { exactBigInt } from "../exact-json.ts";

/** Some records of a file, each as JSON; its buffers can be moved to a worker. */
export interface RecordBatch {
  bytes: Uint8Array<ArrayBuffer>;
  /** The start and end of each record in `bytes` [2 * records]. */
  bounds: Uint32Array<ArrayBuffer>;
  /** The number of the first record in its file, from 1. */
  first: number;
}

/** Called with the number of a record that cannot be read, and what is wrong with it. */
export type ReportRecord = (number: number, reason: string) => void;

/**
 * A longer record is passed over: it is hardly a document, and it would have to be held in memory.
 */
export const LONGEST_RECORD = 1 << 27;

export const TOO_LONG = `it is longer than ${LONGEST_RECORD >> 20} MB`;

/** Records as a batch; the number of the first is `first`. */
export function batchOf(records: unknown[], first: number): RecordBatch {
  const encoder = new TextEncoder();
  const parts = records.map((record) => encoder.encode(JSON.stringify(record, exactBigInt)));
  const bounds = new Uint32Array(2 * parts.length);
  let end = 0;
  parts.forEach((part, i) => {
    bounds[2 * i] = end;
    bounds[2 * i + 1] = end += part.length;
  });
  return { bytes: joined(parts), bounds, first };
}
