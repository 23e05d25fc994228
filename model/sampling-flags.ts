import { UserError } from "../kernels/user-error.ts";
import type { GenerateOptions } from "./language-model.ts";

/** What a command line says of sampling, for its help text. */
export const SAMPLING_HELP = `\
  --max-tokens          the most tokens to add [256]
  --temperature         divides the logits; 0 takes the likeliest token [0.8]
  --top-p               likeliest tokens that together have this probability [0.9]
  --top-k               number of likeliest tokens to draw from; 0 for all [0]
  --repetition-penalty  divides the logits of tokens already there [1]
  --seed                makes the choices repeatable`;

/** What an argument may be. */
interface Range {
  readonly expected: string;
  readonly holds: (value: number) => boolean;
}

const COUNT: Range = {
  expected: "a whole number of at least 1",
  holds: (value) => Number.isSafeInteger(value) && value >= 1,
};
const WHOLE: Range = {
  expected: "a whole number of at least 0",
  holds: (value) => Number.isSafeInteger(value) && value >= 0,
};
const SHARE: Range = {
  expected: "a number above 0, at most 1",
  holds: (value) => value > 0 && value <= 1,
};
const NOT_NEGATIVE: Range = {
  expected: "a number of at least 0",
  holds: (value) => value >= 0 && value < Infinity,
};
const POSITIVE: Range = {
  expected: "a number above 0, as f32 holds it",
  holds: (value) => Math.fround(value) > 0 && Math.fround(value) < Infinity,
};

/** The names of these arguments. */
export const SAMPLING_FLAGS = [
  "max-tokens",
  "temperature",
  "top-p",
  "top-k",
  "repetition-penalty",
  "seed",
];

/** How to choose tokens, by the arguments. @throws UserError for what is no number, or out of range */
export function samplingOptions(flags: Record<string, unknown>): GenerateOptions {
  const number = (name: string, { expected, holds }: Range) => {
    const text = flags[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (String(text).trim() !== "" && holds(value)) return value;
    throw new UserError(`--${name}=${text}: expected ${expected}`);
  };
  return {
    maxTokens: number("max-tokens", COUNT) ?? 256,
    temperature: number("temperature", NOT_NEGATIVE) ?? 0.8,
    topP: number("top-p", SHARE) ?? 0.9,
    topK: number("top-k", WHOLE) ?? 0,
    repetitionPenalty: number("repetition-penalty", POSITIVE) ?? 1,
    seed: number("seed", WHOLE),
  };
}
