/** Ranges of the numbers that people give, in settings and on command lines. */

/** What a number may be: any when left empty. */
export interface NumberRange {
  /** Only whole numbers. */
  readonly whole?: true;
  /** The least value allowed. */
  readonly least?: number;
  /** A bound that is itself not allowed. */
  readonly above?: number;
  /** The largest value allowed. */
  readonly most?: number;
  /** A bound that is itself not allowed. */
  readonly below?: number;
}

/** Below this, a GPU may take a number of f32 for 0. */
const LEAST = 1.2e-38;
/** The inverses of these too are numbers of f32, and twice as much is. */
const MOST = 8e37;

/** Above 0, for shaders. */
export const positive: NumberRange = { least: LEAST, most: MOST };
/** 0 or more, for shaders. */
export const notNegative: NumberRange = { least: 0, most: MOST };
/** From 0 to below 1. */
export const share: NumberRange = { least: 0, below: 1 };
/** A share that takes something, or all. */
export const someShare: NumberRange = { above: 0, most: 1 };
/** Any share, nothing and all included. */
export const anyShare: NumberRange = { least: 0, most: 1 };
/** A share that takes something and leaves something. */
export const properShare: NumberRange = { above: 0, below: 1 };
/** A whole number, 0 included. */
export const count: NumberRange = { whole: true, least: 0 };
/** A whole number above 0. */
export const atLeastOne: NumberRange = { whole: true, least: 1 };
/** A seed of 32 bits. */
export const anySeed: NumberRange = { whole: true, least: 0, most: 2 ** 32 - 1 };

/** Whether a value is a number in the range. */
export function isInRange(value: unknown, range: NumberRange): value is number {
  const { whole, least = -Infinity, above = -Infinity, most = Infinity, below = Infinity } = range;
  return typeof value === "number" && Number.isFinite(value) &&
    (!whole || Number.isSafeInteger(value)) &&
    value >= least && value > above && value <= most && value < below;
}

/** Such as `a whole number of at least 1`. */
export function rangeInWords({ whole, least, above, most, below }: NumberRange): string {
  const bounds = [
    least === undefined ? "" : `of at least ${least}`,
    above === undefined ? "" : `above ${above}`,
    most === undefined ? "" : `at most ${most}`,
    below === undefined ? "" : `below ${below}`,
  ].filter((bound) => bound !== "");
  return [whole ? "a whole number" : "a number", bounds.join(" and ")].join(" ").trim();
}
