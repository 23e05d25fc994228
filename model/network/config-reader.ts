import { shown } from "../../data/text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import {
  atLeastOne,
  isInRange,
  type NumberRange,
  positive,
  rangeInWords,
} from "../number-range.ts";

/** A key of `config.json` that a layer reads: what it means, and a number or one of a few choices. */
export type ConfigKey =
  | { readonly meaning: string } & NumberRange
  | { readonly meaning: string; readonly choices: readonly string[] };

/** Typed access to the keys of one `config.json`; null counts as absent, as in Hugging Face. */
export class ConfigReader {
  /**
   * Reads the keys of one file.
   *
   * @param json the parsed file
   * @param where what errors call it
   */
  constructor(readonly json: Readonly<Record<string, unknown>>, readonly where: string) {}

  /** The value of a key as it is. */
  value(key: string): unknown {
    return this.json[key] ?? undefined;
  }

  /**
   * Refuses the value of a key.
   *
   * @throws UserError naming the key, its value and what was expected
   */
  refuse(key: string, expected: string): never {
    const value = this.value(key);
    throw new UserError(
      value === undefined
        ? `${this.where}: the key "${key}" is missing; expected ${expected}`
        : `${this.where}: "${key}" is ${shown(value)}; expected ${expected}`,
    );
  }

  /** A number in a range. @throws UserError, also where the key is missing without a fallback */
  number(key: string, range: NumberRange, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (!isInRange(value, range)) this.refuse(key, rangeInWords(range));
    return value;
  }

  /** A whole number of at least one. */
  count(key: string, fallback?: number): number {
    return this.number(key, atLeastOne, fallback);
  }

  /** A number above zero. */
  positive(key: string, fallback?: number): number {
    return this.number(key, positive, fallback);
  }

  /** One of a few values. @throws UserError, also where the key is missing without a fallback */
  choice<const T>(key: string, allowed: readonly T[], fallback?: T): T {
    const value = this.value(key) ?? fallback;
    const found = allowed.find((one) => one === value);
    if (found === undefined) this.refuse(key, listOf(allowed));
    return found;
  }

  /** A key that may be absent, but whose only supported values are these. */
  only(key: string, allowed: readonly unknown[]): void {
    if (this.value(key) !== undefined) this.choice(key, allowed);
  }

  /** A list of numbers in a range; empty where the key is missing. */
  numbers(key: string, range: NumberRange): number[] {
    const values = this.value(key) ?? [];
    if (!Array.isArray(values) || !values.every((value) => isInRange(value, range))) {
      this.refuse(key, `a list of numbers, each ${rangeInWords(range)}`);
    }
    return values;
  }

  /** A token id, a list of them, or nothing. */
  ids(key: string): number[] {
    const value = this.value(key) ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
        this.refuse(key, "a token id or a list of token ids");
      }
      return id;
    });
  }
}

function listOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(" or ");
}
