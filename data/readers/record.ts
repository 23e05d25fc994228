import { isRecord } from "../files/is-record.ts";
import { parseExactly, withoutPythonNumbers } from "./exact-json.ts";

/** A record that is not as its corpus promises; the message says why. */
export class BadRecord extends Error {
  override name = "BadRecord";
}

/** A record as its file holds it. */
export type CorpusRecord = Record<string, unknown>;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Parses a record; undefined if it is only white space.
 *
 * @param onOddity called with what is odd about it, in words
 * @throws BadRecord if it is not a JSON object
 */
export function parseRecord(
  bytes: Uint8Array,
  onOddity: (oddity: string) => void = () => {},
): CorpusRecord | undefined {
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
    value = parsePythons(json);
    if (value === undefined) {
      throw new BadRecord(`it is not JSON: ${(error as SyntaxError).message}`);
    }
    onOddity("it has NaN or Infinity, which JSON lacks, read as null");
  }
  if (!isRecord(value)) throw new BadRecord("it is not a JSON object");
  return value;
}

/** The text of a field; empty if it is null. @throws BadRecord if it is missing or not text */
export function textField(record: CorpusRecord, name: string): string {
  const value = record[name];
  if (value === null) return "";
  if (typeof value === "string") return value;
  throw badField(record, name, "text");
}

/** The records of a field; none if it is null. @throws BadRecord if it is missing or not records */
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

/** A record as Python writes it, with NaN and infinities; undefined if it is not that either. */
function parsePythons(text: string): unknown {
  if (!/NaN|Infinity/.test(text)) return undefined;
  try {
    return parseExactly(withoutPythonNumbers(text));
  } catch {
    return undefined;
  }
}
