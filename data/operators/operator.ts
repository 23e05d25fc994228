import type { Encoder } from "../tokenizer/encoder.ts";

/** An operator that rewrites a text. */
export interface Mapper {
  readonly kind: "mapper";
  map(text: string): string;
}

/** An operator that measures a text and keeps it if `min` ≤ measure ≤ `max`. */
export interface Filter {
  readonly kind: "filter";
  /** Data-Juicer's name of the measure, such as `alnum_ratio`. */
  readonly statistic: string;
  readonly min: number;
  readonly max: number;
  measure(text: string): number;
  /** Why a text is dropped; a filter that tells has every text listed that it drops. */
  explain?(text: string): string;
}

/** An operator that drops documents like earlier ones. */
export interface Deduplicator {
  readonly kind: "deduplicator";
  /** The 64-bit hash by which documents are compared. */
  fingerprint(text: string): bigint;
  /** Documents at most that many bits apart are alike. */
  readonly distance: number;
  /** Into how many blocks of bits the hash is cut to find them. */
  readonly blocks: number;
  /** Whether documents of the hash 0, too short to have one, are all kept. */
  readonly keepEmpty: boolean;
}

export type Operator = Mapper | Filter | Deduplicator;

/** What an operator may be handed beside its arguments, when the user has it. */
export interface Models {
  tokenizer?: Encoder;
  /** A text as the pieces of the user's SentencePiece model. */
  piecesOf?: (text: string) => string[];
  /** Perplexity of a text under the user's model. */
  perplexity?: (text: string) => number;
}

/**
 * The values an argument may have. Its default tells which: those of the same type; if it is null,
 * text too; if it is a list, also one text.
 */
export type Argument = string | number | boolean | null | readonly string[];

/** The values of arguments by name, each as wide as the default tells. */
type Widened<T> = {
  [K in keyof T]: T[K] extends number ? number
    : T[K] extends boolean ? boolean
    : T[K] extends string ? string
    : T[K] extends null ? string | null
    : string | readonly string[];
};

/** An operator of a recipe: its name, its arguments with their defaults, and how to build it. */
export interface OperatorDefinition<O extends Operator = Operator> {
  readonly name: string;
  readonly defaults: Record<string, Argument>;
  /** Throws UserError for a value that cannot be; {@linkcode ModelMissing} where it wants a model. */
  create(values: Record<string, Argument>, models: Models): O;
}

/** Thrown when an operator wants a model that the user has not given. */
export class ModelMissing extends Error {
  override name = "ModelMissing";
}

/** Declares an operator; the types of its arguments follow from their defaults. */
export function defineOperator<
  O extends Operator,
  const D extends Record<string, Argument>,
>(
  name: string,
  defaults: D,
  create: (values: Widened<D>, models: Models) => O,
): OperatorDefinition<O> {
  return { name, defaults, create: create as OperatorDefinition<O>["create"] };
}

/** A mapper out of a function. */
export function mapper(map: (text: string) => string): Mapper {
  return { kind: "mapper", map };
}

/** A filter out of its measure. */
export function filter(
  statistic: string,
  { min, max }: { min: number; max: number },
  measure: (text: string) => number,
): Filter {
  return { kind: "filter", statistic, min, max, measure };
}
