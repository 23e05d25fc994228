import type { Benchmark, Letter, Question, Subject } from "../benchmarks/benchmark.ts";

/** Gives a benchmark's prompt format, or throws `UserError` where the protocol's source has none. */
export type Protocol = (benchmark: Benchmark, chainOfThought: boolean) => PromptFormat;

/**
 * How the questions of a benchmark are asked and how an answer is read: the words of the prompt, the
 * shots before the question, and either the scores of the four letters or a generated text.
 */
export interface PromptFormat {
  /** The publication or script that it reproduces. */
  source: string;
  /** Examples from the dev split, in its order. */
  shots: { standard: number; most: number };
  /** Before everything else; may be empty. */
  header(subject: Subject): string;
  /** An example with its answer, and what separates it from the next block. */
  shot(question: Question): string;
  /** The question, up to where the answer begins. */
  question(question: Question): string;
  /** Whether the whole is one user turn of a chat. */
  chat: boolean;
  /** What gives way when the prompt is longer than it may be. */
  tooLong: TooLong;
  answer: LetterAnswer | GeneratedAnswer;
}

/**
 * - `dropLast`: shots from the end (MMLU's authors)
 * - `dropLongest`: all the longest shots at once, and the header when that is not enough (CMMLU's)
 * - `cut`: the beginning of the tokens (lm-evaluation-harness)
 */
export type TooLong = { most: number; how: "dropLast" | "dropLongest" | "cut" };

/** The letter with the highest score as the next token wins. */
export interface LetterAnswer {
  kind: "letters";
  /** What the prompt ends with; a letter's token is what `cue + before + letter` adds to `cue`. */
  cue: string;
  before: "" | " ";
}

/** The model writes, and a letter is read off what it wrote. */
export interface GeneratedAnswer {
  kind: "generated";
  decoding: Decoding;
  /**
   * @param written what the model generated, special tokens left out
   * @param prompt the text of the user's turn
   * @param random a letter at random, the same at every run: for sources that guess
   * @returns undefined where the source counts the answer as wrong
   */
  extract(written: string, question: Question, prompt: string, random: () => Letter):
    | Letter
    | undefined;
}

export interface Decoding {
  maxNewTokens: number;
  /** 0 is greedy. */
  temperature: number;
  topP: number;
  repetitionPenalty: number;
}

export const GREEDY = { temperature: 0, topP: 1, repetitionPenalty: 1 };

/** The four options, one a line, each after a line break: `\nA. …\nB. …`. */
export function optionLines({ options }: Question): string {
  return Object.entries(options).map(([letter, option]) => `\n${letter}. ${option}`).join("");
}
