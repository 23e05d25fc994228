import { GENERATION_RANGES } from "../inference/check-inputs.ts";
import type { GenerateOptions } from "../inference/language-model.ts";
import { numberFlag } from "./number-flag.ts";
import { atLeastOne } from "../number-range.ts";

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
export function samplingOptions(flags: Record<string, string | undefined>): GenerateOptions {
  const number = (flag: string, option: keyof typeof GENERATION_RANGES) =>
    numberFlag(flag, flags[flag], GENERATION_RANGES[option]);
  return {
    maxTokens: numberFlag("max-tokens", flags["max-tokens"], atLeastOne) ?? 256,
    temperature: number("temperature", "temperature") ?? 0.8,
    topP: number("top-p", "topP") ?? 0.9,
    topK: number("top-k", "topK") ?? 0,
    repetitionPenalty: number("repetition-penalty", "repetitionPenalty") ?? 1,
    seed: number("seed", "seed"),
  };
}
