/** What TypeScript does not know of JSON yet: the text that a number was written as. */
interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const json = JSON as unknown as JsonWithSource;

/** What every integer has that may be too long for a number. */
const MANY_DIGITS = /\d{16}/;

/**
 * `JSON.parse`, but that `JSON.stringify` writes integers which a number does not hold, such as ids,
 * as they were.
 */
export function parseExactly(text: string): unknown {
  if (!MANY_DIGITS.test(text)) return JSON.parse(text);
  return json.parse(text, (_, value, { source }) => {
    const isLong = typeof value === "number" && !Number.isSafeInteger(value);
    return isLong && /^-?\d+$/.test(source) ? json.rawJSON(source) : value;
  });
}

/** A replacer of `JSON.stringify`, which knows no 64-bit integers itself. */
export function exactBigInt(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? json.rawJSON(String(value)) : value;
}
