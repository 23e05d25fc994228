import { UserError } from "../kernels/user-error.ts";
import type { GenerateOptions } from "./language-model.ts";
import {
  anySeed,
  atLeastOne,
  count,
  isInRange,
  notNegative,
  type NumberRange,
  positive,
  rangeInWords,
  someShare,
} from "./number-range.ts";

/** What a command line says of sampling, for its help text. */
export const SAMPLING_HELP = `\
  --max-tokens          the most tokens to add [256]
  --temperature         divides the logits; 0 takes the likeliest token [0.8]
  --top-p               likeliest tokens that together have this probability [0.9]
  --top-k               number of likeliest tokens to draw from; 0 for all [0]
  --repetition-penalty  divides the logits of tokens already there [1]
  --seed                makes the choices repeatable`;

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
  const number = (name: string, range: NumberRange) => {
    const text = flags[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (String(text).trim() !== "" && isInRange(value, range)) return value;
    throw new UserError(`--${name}=${text}: expected ${rangeInWords(range)}`);
  };
  return {
    maxTokens: number("max-tokens", atLeastOne) ?? 256,
    temperature: number("temperature", notNegative) ?? 0.8,
    topP: number("top-p", someShare) ?? 0.9,
    topK: number("top-k", count) ?? 0,
    repetitionPenalty: number("repetition-penalty", positive) ?? 1,
    seed: number("seed", anySeed),
  };
}
