import { isRecord } from "../../data/files/is-record.ts";
import { isInRange, type NumberRange, rangeInWords } from "../number-range.ts";
import { ApiError } from "./api-error.ts";

/**
 * The fields of a request's JSON object, each read by its name. A field that is null counts as left
 * out, as clients mean it. What was not read at the end is refused by name: nothing is dropped in
 * silence.
 */
export class RequestFields {
  readonly #fields: Map<string, unknown>;

  /** @throws ApiError if the body is no object */
  constructor(body: unknown, private readonly prefix = "") {
    if (!isRecord(body)) {
      throw new ApiError(400, `${prefix || "the body"}: expected a JSON object`);
    }
    this.#fields = new Map(Object.entries(body).filter(([, value]) => value !== null));
  }

  /** A field as it is; undefined if it is left out. */
  take(name: string): unknown {
    const value = this.#fields.get(name);
    this.#fields.delete(name);
    return value;
  }

  /** A number in a range. */
  number(name: string, range: NumberRange): number | undefined {
    const value = this.take(name);
    if (value === undefined || isInRange(value, range)) return value;
    throw this.wrong(name, `expected ${rangeInWords(range)}`);
  }

  /** True or false. */
  flag(name: string): boolean | undefined {
    const value = this.take(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.wrong(name, "expected true or false");
  }

  /** A text. */
  text(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.wrong(name, "expected a string");
  }

  /** Fields that say nothing to a model. */
  ignore(...names: string[]): void {
    for (const name of names) this.#fields.delete(name);
  }

  /** Refuses a field unless it has the value that asks for nothing, which some clients always send. */
  refuse(name: string, nothing: unknown, reason: string): void {
    const value = this.take(name);
    if (value === undefined || JSON.stringify(value) === JSON.stringify(nothing)) return;
    throw this.wrong(name, reason);
  }

  /** @throws ApiError if a field was not read: it could not be honoured */
  end(): void {
    const [name] = this.#fields.keys();
    if (name !== undefined) {
      throw this.wrong(name, "this server does not know this parameter; leave it out");
    }
  }

  /** The error for a field. */
  wrong(name: string, reason: string, code?: string): ApiError {
    const param = this.prefix ? `${this.prefix}.${name}` : name;
    return new ApiError(400, `${param}: ${reason}`, { param, code });
  }
}
