import type { Encoder } from "../tokenizer/encoder.ts";

/** An operator that rewrites a text. */
export interface Mapper {
  /** Tells a mapper from the other kinds of operators. */
  readonly kind: "mapper";
  /** The text that takes the place of `text`. */
  map(text: string): string;
}

/** An operator that measures a text and keeps it if `min` ≤ measure ≤ `max`. */
export interface Filter {
  /** Tells a filter from the other kinds of operators. */
  readonly kind: "filter";
  /** Data-Juicer's name of the measure, such as `alnum_ratio`. */
  readonly statistic: string;
  /** The smallest measure of a text that is kept. */
  readonly min: number;
  /** The largest measure of a text that is kept. */
  readonly max: number;
  /** The measure of a text. */
  measure(text: string): number;
  /** Why a text is dropped; of a filter that has this, every dropped text is listed. */
  explain?(text: string): string;
}

/** An operator that drops documents like earlier ones. */
export interface Deduplicator {
  /** Tells a deduplicator from the other kinds of operators. */
  readonly kind: "deduplicator";
  /** The 64-bit hash by which documents are compared. */
  fingerprint(text: string): bigint;
  /** Documents whose hashes differ in at most this many bits are alike. */
  readonly distance: number;
  /** Into how many blocks of bits the hash is cut to find them. */
  readonly blocks: number;
  /** Whether documents of the hash 0, too short to have one, are all kept. */
  readonly keepEmpty: boolean;
}

/** An operator with its arguments, ready to run. */
export type Operator = Mapper | Filter | Deduplicator;

/** What an operator may use beside its arguments, where the user has it. */
export interface Models {
  /** The tokenizer by which filters count tokens. */
  tokenizer?: Encoder;
  /** A text as the pieces of the user's SentencePiece model. */
  piecesOf?: (text: string) => string[];
  /** Perplexity of a text under the user's model. */
  perplexity?: (text: string) => number;
}

/**
 * The values that an argument may have: those of the type of its default; text too if the default
 * is null; also one text if the default is a list.
 */
export type Argument = string | number | boolean | null | readonly string[];

/** The values of arguments by name, each of the type of its default. */
export type ArgumentValues<T> = {
  [K in keyof T]: T[K] extends number ? number
    : T[K] extends boolean ? boolean
    : T[K] extends string ? string
    : T[K] extends null ? string | null
    : string | readonly string[];
};

/** An operator of a recipe: its name, its arguments with their defaults, and how to build it. */
export interface OperatorDefinition<O extends Operator = Operator> {
  /** Data-Juicer's name of the operator, such as `text_length_filter`. */
  readonly name: string;
  /** The arguments and their defaults; there are no others. */
  readonly defaults: Record<string, Argument>;
  /**
   * Builds the operator.
   *
   * @throws UserError for a value that is not allowed, {@linkcode ModelMissing} for a missing model
   */
  create(values: Record<string, Argument>, models: Models): O;
}

/** Thrown where an operator needs a model that the user has not given. */
export class ModelMissing extends Error {
  /** Tells this error from others. */
  override name = "ModelMissing";
}

/** Declares an operator; the types of its arguments follow from their defaults. */
export function defineOperator<
  O extends Operator,
  const D extends Record<string, Argument>,
>(
  name: string,
  defaults: D,
  create: (values: ArgumentValues<D>, models: Models) => O,
): OperatorDefinition<O> {
  return { name, defaults, create: create as OperatorDefinition<O>["create"] };
}

/** Makes a mapper of a function. */
export function mapper(map: (text: string) => string): Mapper {
  return { kind: "mapper", map };
}

/** Makes a filter of a measure, whose name is `statistic`. */
export function filter(
  statistic: string,
  { min, max }: { min: number; max: number },
  measure: (text: string) => number,
): Filter {
  return { kind: "filter", statistic, min, max, measure };
}
