/**
 * Text as Python sees it, since Data-Juicer is written in Python: a sequence of Unicode code points,
 * with Python's ideas of what a space, a line, a letter and a word are. JavaScript's `trim`, `\s`,
 * `\b`, `.` and `length` all differ.
 */

/** The members of a regular expression's class that Python's `str.strip` removes. */
export const STRIPPED =
  "\\t-\\r\\x1C-\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";

/** The members of the class that `\s` of Python's `regex` module stands for. */
export const SPACE =
  "\\t-\\r\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";

/** The members of the class that `\w` of Python's `regex` module stands for. */
export const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D";

const LEADING = new RegExp(`^[${STRIPPED}]+`);
const STRIPPABLE = new RegExp(`[${STRIPPED}]`);

/** Python's `str.strip()`. */
export function strip(text: string): string {
  let end = text.length;
  while (end > 0 && STRIPPABLE.test(text[end - 1])) end--;
  return text.slice(0, end).replace(LEADING, "");
}

/** How many code points the text has; a lone surrogate counts as one. */
export function codePointLength(text: string): number {
  let pairs = 0;
  for (let i = 1; i < text.length; i++) {
    if (isLowSurrogate(text.charCodeAt(i)) && isHighSurrogate(text.charCodeAt(i - 1))) pairs++;
  }
  return text.length - pairs;
}

export function isHighSurrogate(unit: number): boolean {
  return (unit & 0xFC00) === 0xD800;
}

export function isLowSurrogate(unit: number): boolean {
  return (unit & 0xFC00) === 0xDC00;
}

/** The text's code points as numbers; a lone surrogate stands for itself. */
export function codePoints(text: string): Uint32Array {
  const points = new Uint32Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!;
    points[length++] = point;
    if (point > 0xFFFF) i++;
  }
  return points.subarray(0, length);
}

// deno-lint-ignore no-control-regex
const LINE_BREAK = /\r\n|[\n-\r\x1C-\x1E\x85\u2028\u2029]/;

/** Python's `str.splitlines()`: no separators, and no empty line after the last one. */
export function splitLines(text: string): string[] {
  const lines = text.split(LINE_BREAK);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * A set of code points with a fast test: a table for the basic plane, which is filled once, and
 * `beyond` for the rest.
 */
export class CodePointSet {
  readonly #basic = new Uint8Array(0x10000);
  readonly #beyond: (point: number) => boolean;

  constructor(has: (point: number) => boolean) {
    this.#beyond = has;
    for (let point = 0; point < 0x10000; point++) this.#basic[point] = has(point) ? 1 : 0;
  }

  /** The set of what a regular expression matches. */
  static matching(pattern: RegExp): CodePointSet {
    return new CodePointSet((point) => pattern.test(String.fromCodePoint(point)));
  }

  has(point: number): boolean {
    return point < 0x10000 ? this.#basic[point] === 1 : this.#beyond(point);
  }

  /** How many of the text's code points belong to the set. */
  count(text: string): number {
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (!isHighSurrogate(unit)) {
        count += this.#basic[unit];
      } else {
        const point = text.codePointAt(i)!;
        if (this.has(point)) count++;
        if (point > 0xFFFF) i++;
      }
    }
    return count;
  }
}
