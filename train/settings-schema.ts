/**
 * The kinds of value that a setting can have. A schema lists a stage's settings once: from it come
 * the TypeScript type, the checks, the reading of command-line arguments and the help text.
 */

/** One setting. */
export interface Field<T> {
  /** One line for the help text. */
  meaning: string;
  /** The values it takes, in words that follow "expected". */
  expected: string;
  /** The value as it is kept, or undefined if it is not one of those expected. */
  accept(value: unknown): T | undefined;
  /** The value that a command-line argument stands for, yet to be accepted. */
  parse(argument: string): unknown;
  /** On the command line, the name may be repeated, and each adds to the list. */
  isList?: true;
}

/** Settings by section and key. */
export type Schema = Record<string, Record<string, Field<unknown>>>;

/** The values that a schema describes. */
export type SettingsOf<S extends Schema> = {
  [Section in keyof S]: {
    [Key in keyof S[Section]]: S[Section][Key] extends Field<infer T> ? T : never;
  };
};

interface Range {
  least?: number;
  /** A bound that is not itself allowed. */
  above?: number;
  most?: number;
  /** A bound that is not itself allowed. */
  below?: number;
}

/** Ranges that many settings have. */
export const atLeastOne: Range = { least: 1 };
export const share: Range = { least: 0, below: 1 };
export const anySeed: Range = { least: 0, most: 2 ** 32 - 1 };

export function wholeNumber(meaning: string, range: Range = { least: 0 }): Field<number> {
  return {
    meaning,
    expected: `a whole number${rangeInWords(range)}`,
    accept: (value) => Number.isSafeInteger(value) ? withinRange(value, range) : undefined,
    parse: parseNumber,
  };
}

export function number(meaning: string, range: Range = {}): Field<number> {
  return {
    meaning,
    expected: `a number${rangeInWords(range)}`,
    accept: (value) => withinRange(value, range),
    parse: parseNumber,
  };
}

export function flag(meaning: string): Field<boolean> {
  return {
    meaning,
    expected: "true or false",
    accept: (value) => typeof value === "boolean" ? value : undefined,
    parse: (argument) => argument === "true" || (argument === "false" ? false : argument),
  };
}

export function oneOf<const T extends string>(meaning: string, choices: readonly T[]): Field<T> {
  const expected = choices.join(" or ");
  return {
    meaning: `${meaning}: ${expected}`,
    expected,
    accept: (value) => choices.find((choice) => choice === value),
    parse: (argument) => argument,
  };
}

export function text(meaning: string): Field<string> {
  return {
    meaning,
    expected: "text",
    accept: (value) => typeof value === "string" && value !== "" ? value : undefined,
    parse: (argument) => argument,
  };
}

/** A list of texts; a single text stands for a list of one. */
export function texts(meaning: string): Field<string[]> {
  return {
    meaning,
    expected: "text or a list of texts",
    accept: (value) => {
      const list: unknown[] = Array.isArray(value) ? value : [value];
      const isText = (item: unknown): item is string => typeof item === "string" && item !== "";
      return list.every(isText) ? list : undefined;
    },
    parse: (argument) => argument,
    isList: true,
  };
}

/** Not `Number(argument)` alone, which takes the empty argument for 0. */
function parseNumber(argument: string): unknown {
  const value = Number(argument.replaceAll("_", ""));
  return argument.trim() === "" || Number.isNaN(value) ? argument : value;
}

function withinRange(value: unknown, range: Range): number | undefined {
  const { least = -Infinity, above = -Infinity, most = Infinity, below = Infinity } = range;
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return value >= least && value > above && value <= most && value < below ? value : undefined;
}

function rangeInWords({ least, above, most, below }: Range): string {
  const bounds = [
    least === undefined ? "" : `of at least ${least}`,
    above === undefined ? "" : `above ${above}`,
    most === undefined ? "" : `at most ${most}`,
    below === undefined ? "" : `below ${below}`,
  ].filter((bound) => bound !== "");
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`;
}
