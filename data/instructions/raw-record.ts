import type { UnusableExample } from "./conversation.ts";

/** A record as its file holds it. */
export type RawRecord = Record<string, unknown>;

/** A record, or what is wrong with it, and its place in the file in words, such as `line 12`. */
export interface ReadRecord {
  place: string;
  record: RawRecord | UnusableExample;
}
