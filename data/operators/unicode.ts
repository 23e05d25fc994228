/**
 * Text as Python sees it, since Data-Juicer is written in Python: a sequence of Unicode code
 * points, with Python's ideas of what a space, a line, a letter and a word are. JavaScript's
 * `trim`, `\s`, `\b`, `.` and `length` all differ.
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

/** The number of code points of a text; a lone surrogate counts as one. */
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

/** What the table of a {@linkcode CodePointSet} knows of a code point. */
const [UNTESTED, OUTSIDE, INSIDE] = [0, 1, 2];

/** A set of code points, which remembers its answers for the basic plane. */
export class CodePointSet {
  readonly #basic = new Uint8Array(0x10000);
  readonly #test: (point: number) => boolean;

  constructor(test: (point: number) => boolean) {
    this.#test = test;
  }

  /** The set of the code points that a regular expression matches. */
  static matching(pattern: RegExp): CodePointSet {
    return new CodePointSet((point) => pattern.test(String.fromCodePoint(point)));
  }

  has(point: number): boolean {
    if (point >= 0x10000) return this.#test(point);
    const known = this.#basic[point];
    if (known !== UNTESTED) return known === INSIDE;
    const isInside = this.#test(point);
    this.#basic[point] = isInside ? INSIDE : OUTSIDE;
    return isInside;
  }

  /** The number of code points of a text that belong to the set. */
  count(text: string): number {
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      const point = isHighSurrogate(unit) ? text.codePointAt(i)! : unit;
      if (this.has(point)) count++;
      if (point > 0xFFFF) i++;
    }
    return count;
  }
}
