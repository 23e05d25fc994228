/**
 * The kinds of value that a setting can have. A schema lists a stage's settings once: from it come
 * the TypeScript type, the checks, the reading of command-line arguments and the help text.
 */
import type { ConfigKey } from "../../model/network/config-reader.ts";
import { count, isInRange, type NumberRange, rangeInWords } from "../../model/number-range.ts";

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
  /** It may be left out, and then is in no settings. */
  isOptional?: true;
  /**
   * Full names of settings that it stands for: where it is given, their defaults do not hold, and to
   * give one of them too is an error.
   */
  replaces?: readonly string[];
}

/** Settings by section and key. */
export type Schema = Record<string, Record<string, Field<unknown>>>;

/** The values that a schema describes. */
export type SettingsOf<S extends Schema> = {
  [Section in keyof S]: {
    [Key in keyof S[Section]]: S[Section][Key] extends Field<infer T> ? T : never;
  };
};

/** Some of a stage's settings, by section and key: the others keep their defaults. */
export type Given<Settings> = {
  readonly [Section in keyof Settings]?: Readonly<Partial<Settings[Section]>>;
};

export function wholeNumberSetting(meaning: string, range: NumberRange = count): Field<number> {
  return numberSetting(meaning, { ...range, whole: true });
}

export function numberSetting(meaning: string, range: NumberRange): Field<number> {
  return {
    meaning,
    expected: rangeInWords(range),
    accept: (value) => isInRange(value, range) ? value : undefined,
    parse: parseNumber,
  };
}

export function flagSetting(meaning: string): Field<boolean> {
  return {
    meaning,
    expected: "true or false",
    accept: (value) => typeof value === "boolean" ? value : undefined,
    parse: (argument) => argument === "true" || (argument === "false" ? false : argument),
  };
}

export function choiceSetting<const T extends string>(
  meaning: string,
  choices: readonly T[],
): Field<T> {
  const expected = choices.join(" or ");
  return {
    meaning: `${meaning} (${choices.join(", ")})`,
    expected,
    accept: (value) => choices.find((choice) => choice === value),
    parse: (argument) => argument,
  };
}

/**
 * Settings for the keys of a model's layers. Each may be left out, as not every model has all layers;
 * a layer refuses a config that lacks what it needs.
 */
export function layerSettings(
  keys: Readonly<Record<string, ConfigKey>>,
): Record<string, Field<number | string>> {
  return Object.fromEntries(
    Object.entries(keys).map(([name, key]) => {
      const field: Field<number | string> = "choices" in key
        ? choiceSetting(key.meaning, key.choices)
        : numberSetting(key.meaning, key);
      return [name, { ...field, isOptional: true }];
    }),
  );
}

export function textSetting(meaning: string): Field<string> {
  return {
    meaning,
    expected: "text",
    accept: (value) => typeof value === "string" && value !== "" ? value : undefined,
    parse: (argument) => argument,
  };
}

/** A list of texts; a single text stands for a list of one. */
export function textsSetting(meaning: string): Field<string[]> {
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
