/** What an evaluation asks of a model, and the model that always says the same letter. */

import { type Letter, LETTERS } from "./benchmarks/benchmark.ts";
import type { Encoder } from "../data/tokenizer/encoder.ts";
import type { Decoding } from "./protocols/protocol.ts";

export interface Answerer {
  /** What the results are filed under. */
  name: string;
  encoder: Encoder;
  /** Most tokens of a prompt and its answer. */
  contextLength: number;
  /** What its numbers are computed in, where it computes any. */
  precision?: "f32" | "mixed";
  /** Tells models of one name apart, such as a run's before and after more training. */
  fingerprint?(): Promise<string>;
  /** Tokens of prompts that are best read at once. */
  tokensAtOnce: number;
  /** Texts that are best written at once. */
  textsAtOnce: number;
  /** Whether what the prompts of one call begin with is read once for all of them. */
  sharesPrefixes: boolean;
  /**
   * Scores of the letters as the next token, in a batch that changes nothing: each prompt gets what
   * it would get alone. May be called again before it has answered.
   *
   * @param prompts token ids [batch][seq], of different lengths
   * @param letterIds token ids [4]
   * @returns logits or log-probabilities [batch][4]
   */
  letterScores(prompts: number[][], letterIds: number[]): Promise<number[][]>;
  /**
   * What the model writes after each prompt, special tokens left out.
   *
   * @param seeds one a prompt [batch]: sampling does not depend on the batch either
   */
  generate(prompts: number[][], decoding: Decoding, seeds: number[]): Promise<string[]>;
}

/**
 * Answers every question with the same letter: a check of tables, whose scores follow from the
 * benchmark's answers alone.
 */
export function alwaysLetter(letter: Letter): Answerer {
  return {
    name: `always:${letter}`,
    encoder: { encode: lastLetterApart },
    contextLength: Infinity,
    tokensAtOnce: Infinity,
    textsAtOnce: Infinity,
    sharesPrefixes: false,
    letterScores: (prompts) =>
      Promise.resolve(prompts.map(() => LETTERS.map((each) => each === letter ? 0 : -Infinity))),
    generate: (prompts) => Promise.resolve(prompts.map(() => letter)),
  };
}

/** All of a text is one token but for a letter that ends it, with or without a space before it. */
function lastLetterApart(text: string): number[] {
  const letter = / ?[ABCD]$/.exec(text)?.[0] ?? "";
  const rest = text.length > letter.length ? [0] : [];
  return letter === ""
    ? rest
    : [...rest, letter.length * 256 + letter.charCodeAt(letter.length - 1)];
}
