import { isRecord } from "../files/is-record.ts";
import { parseExactly } from "./exact-json.ts";

/** A record that lacks what its corpus promises; the message says what. */
export class BadRecord extends Error {
  override name = "BadRecord";
}

/** A record as its file holds it. */
export type CorpusRecord = Record<string, unknown>;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The JSON object that bytes are, or undefined if they are white space; throws BadRecord for else. */
export function parseRecord(bytes: Uint8Array): CorpusRecord | undefined {
  let json: string;
  try {
    json = decoder.decode(bytes);
  } catch {
    throw new BadRecord("it is not UTF-8");
  }
  if (json.trim() === "") return undefined;
  let value: unknown;
  try {
    value = parseExactly(json);
  } catch (error) {
    throw new BadRecord(`it is not JSON: ${(error as SyntaxError).message}`);
  }
  if (!isRecord(value)) throw new BadRecord("it is not a JSON object");
  return value;
}

/** A field's text; an empty one if it is null. Throws BadRecord if it is missing or no text. */
export function textField(record: CorpusRecord, name: string): string {
  const value = record[name];
  if (value === null) return "";
  if (typeof value === "string") return value;
  throw badField(record, name, "text");
}

/** A field's records; none if it is null. Throws BadRecord if it is missing or something else. */
export function recordsField(record: CorpusRecord, name: string): CorpusRecord[] {
  const value = record[name];
  if (value === null) return [];
  if (Array.isArray(value) && value.every(isRecord)) return value;
  throw badField(record, name, "a list of objects");
}

function badField(record: CorpusRecord, name: string, expected: string): BadRecord {
  if (record[name] !== undefined) return new BadRecord(`the field "${name}" is not ${expected}`);
  const fields = Object.keys(record).join(", ") || "none";
  return new BadRecord(`it has no field "${name}" (its fields: ${fields})`);
}
