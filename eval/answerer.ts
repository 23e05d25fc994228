import { type Letter, LETTERS } from "./benchmarks/benchmark.ts";
import type { TurnEncoder } from "../data/instructions/encode.ts";
import type { Encoder } from "../data/tokenizer/encoder.ts";
import type { ChatMessage } from "../model/tokenizer/chat-template.ts";
import type { Decoding } from "./protocols/protocol.ts";

/** Gives the ids of what a model is asked. */
export interface PromptEncoder extends Encoder, TurnEncoder {
  /** The ids of a text that is to be continued, with what the tokenizer puts before it. */
  encodePrompt(text: string): number[];
  /** The ids of a chat up to the answer, by the model's own template. */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /** Whether the template takes a system message. */
  readonly takesSystem: boolean;
}

/** What an evaluation needs of a model. */
export interface Answerer {
  /** The name under which results are filed. */
  name: string;
  /** Gives the ids of prompts. */
  encoder: PromptEncoder;
  /** The most tokens of a prompt and its answer together. */
  contextLength: number;
  /** The precision it computes in, where it computes. */
  precision?: "f32" | "mixed";
  /** The device that it computes on, where it computes. */
  device?: string;
  /** Tells models of the same name apart, such as those before and after more training. */
  fingerprint?(): Promise<string>;
  /** Tokens of prompts that it reads at once best. */
  tokensAtOnce: number;
  /** Texts that it writes at once best. */
  textsAtOnce: number;
  /** Whether the common beginning of the prompts of one call is read only once. */
  sharesPrefixes: boolean;
  /**
   * Scores the letters as the next token. A batch changes nothing: each prompt gets the scores that
   * it would get alone. May be called again before it has answered.
   *
   * @param prompts token ids [batch][seq], of different lengths
   * @param letterIds token ids [4]
   * @returns logits or log-probabilities [batch][4]
   */
  letterScores(prompts: number[][], letterIds: number[]): Promise<number[][]>;
  /**
   * The text that the model writes after each prompt, without special tokens.
   *
   * @param seeds a seed for each prompt [batch]: sampling does not depend on the batch either
   */
  generate(prompts: number[][], decoding: Decoding, seeds: number[]): Promise<string[]>;
}

/** The name of an answerer that always says the same letter begins with it. */
const ALWAYS = "always:";

/** Whether a model of that name only checks the tables, and tells nothing of any model. */
export function isControl(model: string): boolean {
  return model.startsWith(ALWAYS);
}

/**
 * Answers every question with the same letter, to check tables: their scores then follow from the
 * answers of the benchmark alone.
 */
export function alwaysLetter(letter: Letter): Answerer {
  return {
    name: `${ALWAYS}${letter}`,
    encoder: {
      encode: lastLetterApart,
      encodePrompt: lastLetterApart,
      encodeChat: (messages) => lastLetterApart(messages.at(-1)!.content),
      encodeTurns: ({ turns }) =>
        turns.map(({ question, answer }) => ({
          prompt: lastLetterApart(question),
          answer: lastLetterApart(answer),
        })),
      takesSystem: true,
    },
    contextLength: Infinity,
    tokensAtOnce: Infinity,
    textsAtOnce: Infinity,
    sharesPrefixes: false,
    letterScores: (prompts) =>
      Promise.resolve(prompts.map(() => LETTERS.map((each) => each === letter ? 0 : -Infinity))),
    generate: (prompts) => Promise.resolve(prompts.map(() => letter)),
  };
}

/** A letter that ends the text is a token, with the space before it; all the rest is one token. */
function lastLetterApart(text: string): number[] {
  const letter = / ?[ABCD]$/.exec(text)?.[0] ?? "";
  const rest = text.length > letter.length ? [0] : [];
  return letter === ""
    ? rest
    : [...rest, letter.length * 256 + letter.charCodeAt(letter.length - 1)];
}
