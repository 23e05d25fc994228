import type { Benchmark, Letter, Question, Subject } from "../benchmarks/benchmark.ts";

/**
 * Gives a benchmark's prompt format, or throws `UserError` where the protocol's source has none.
 */
export type Protocol = (benchmark: Benchmark, chainOfThought: boolean) => PromptFormat;

/**
 * How the questions of a benchmark are asked and how an answer is read: the words of the prompt,
 * the shots before the question, and either the scores of the four letters or a generated text.
 */
export interface PromptFormat {
  /** The publication or script that it reproduces. */
  source: string;
  /** Number of examples from the dev split: as in the source, and the most that it allows. */
  shots: { standard: number; most: number };
  /** The text before everything else; may be empty. */
  header(subject: Subject): string;
  /** An example with its answer, and what separates it from the next block. */
  shot(question: Question): string;
  /** The question, up to the beginning of the answer. */
  question(question: Question): string;
  /** Whether all of it is one user turn of a chat. */
  chat: boolean;
  /** The system message of the chat, where the source gives one. */
  system?: string;
  /** What is left out when the prompt is too long. */
  tooLong: TooLong;
  /** How the answer is given. */
  answer: LetterAnswer | LetterTurn | GeneratedAnswer;
}

/**
 * The most tokens of a prompt, and what is left out of a longer one:
 * - `dropLast`: shots from the end (MMLU's authors)
 * - `dropLongest`: all the longest shots at once, and the header when that is not enough (CMMLU's)
 * - `cut`: the beginning of the tokens (lm-evaluation-harness)
 */
export type TooLong = { most: number; how: "dropLast" | "dropLongest" | "cut" };

/** The answer is the letter with the highest score as the next token. */
export interface LetterAnswer {
  /** Tells this way from the others. */
  kind: "letters";
  /**
   * The end of the prompt; a letter's token is the one that `cue + before + letter` adds to `cue`.
   */
  cue: string;
  /** What stands before the letter in its token. */
  before: "" | " ";
}

/** The answer is the letter with the highest score as the assistant's turn of a chat. */
export interface LetterTurn {
  /** Tells this way from the others. */
  kind: "letterTurn";
}

/** The answer is a letter in the text that the model writes. */
export interface GeneratedAnswer {
  /** Tells this way from the others. */
  kind: "generated";
  /** How the model writes. */
  decoding: Decoding;
  /**
   * Finds the letter in the text.
   *
   * @param written the text that the model wrote, without special tokens
   * @param prompt the text of the user's turn
   * @param random draws a letter, the same at every run: for sources that guess
   * @returns undefined where the source counts the answer as wrong
   */
  extract(written: string, question: Question, prompt: string, random: () => Letter):
    | Letter
    | undefined;
}

/** How a model writes its answer. */
export interface Decoding {
  /** The most tokens of an answer. */
  maxNewTokens: number;
  /** 0 is greedy. */
  temperature: number;
  /** Only the likeliest tokens whose probabilities add up to this are drawn from; 1 is all. */
  topP: number;
  /** Hugging Face's penalty of tokens that are in the text already; 1 is none. */
  repetitionPenalty: number;
}

/** The system message that Steel-LLM's scripts give. */
export const STEEL_SYSTEM = "You are a helpful assistant.";

export const GREEDY = { temperature: 0, topP: 1, repetitionPenalty: 1 };

/** The four options, one a line, each after a line break: `\nA. …\nB. …`. */
export function optionLines({ options }: Question): string {
  return Object.entries(options).map(([letter, option]) => `\n${letter}. ${option}`).join("");
}
