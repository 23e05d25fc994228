import { GENERATION_RANGES } from "../inference/check-inputs.ts";
import type { GenerateOptions } from "../inference/language-model.ts";
import { numberFlag } from "./number-flag.ts";
import { atLeastOne } from "../number-range.ts";

/** The section of a help text about sampling. */
export const SAMPLING_HELP = `\
Sampling:
  --max-tokens N           write at most N tokens [256]
  --temperature X          sampling temperature; 0 always takes the most likely token [0.8]
  --top-p X                sample from the most likely tokens that together have probability X [0.9]
  --top-k N                sample from the N most likely tokens; 0 for all [0]
  --repetition-penalty X   make tokens of the text so far less likely; 1 is off [1]
  --seed N                 seed for sampling: the same seed gives the same text [a random one]`;

/** The names of these arguments. */
export const SAMPLING_FLAGS = [
  "max-tokens",
  "temperature",
  "top-p",
  "top-k",
  "repetition-penalty",
  "seed",
];

/** The options of generation that the arguments give. @throws UserError if one is out of range */
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
