/** The part of JSON that TypeScript does not know yet: the source text of a number. */
interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const json = JSON as unknown as JsonWithSource;

/** Every integer that may be too long for a number matches this. */
const MANY_DIGITS = /\d{16}/;

/**
 * Parses JSON so that `JSON.stringify` writes integers that a number cannot hold, such as ids, as
 * they were.
 */
export function parseExactly(text: string): unknown {
  if (!MANY_DIGITS.test(text)) return JSON.parse(text);
  return json.parse(text, (_, value, { source }) => {
    const isLong = typeof value === "number" && !Number.isSafeInteger(value);
    return isLong && /^-?\d+$/.test(source) ? json.rawJSON(source) : value;
  });
}

/** What Python's `json` writes and reads, but JSON does not have; or a text, which is left alone. */
const TEXT_OR_PYTHON_NUMBER = /"[^"\\]*(?:\\[^][^"\\]*)*"|-?\bInfinity\b|\bNaN\b/g;

/** JSON as Python writes it, with null for NaN and infinities: what JSON has in their place. */
export function withoutPythonNumbers(text: string): string {
  return text.replaceAll(TEXT_OR_PYTHON_NUMBER, (part) => part.startsWith('"') ? part : "null");
}

/** A replacer of `JSON.stringify`, which knows no 64-bit integers itself. */
export function exactBigInt(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? json.rawJSON(String(value)) : value;
}
