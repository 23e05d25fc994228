/** Builds prompts and makes them fit into the context. */

import type { Encoder } from "../data/tokenizer/encoder.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import type { PromptEncoder } from "./answerer.ts";
import { LETTERS, type Question, type Subject } from "./benchmarks/benchmark.ts";
import type { LetterAnswer, LetterTurn, PromptFormat } from "./protocols/protocol.ts";
import { type AnswerChoices, answerChoices } from "../model/tokenizer/answer-choices.ts";
import type { ChatMessage } from "../model/tokenizer/chat-template.ts";

/** A question as the model gets it. */
export interface QuestionPrompt {
  /** The words, without those that a chat template adds. */
  text: string;
  /** Token ids [seq], those of the chat template included. */
  ids: number[];
  /** Number of examples in it. */
  shots: number;
  /** Tokens cut off at its beginning, because there was nothing left to drop. */
  cut: number;
}

/**
 * The prompt of one question.
 *
 * @param shots examples in order; as many are used as fit
 * @param opening what is before every answer: see {@linkcode letterChoices}
 * @param contextLength the most tokens of the prompt and its answer together
 */
export function buildPrompt(
  format: PromptFormat,
  subject: Subject,
  shots: Question[],
  question: Question,
  encoder: PromptEncoder,
  contextLength: number,
  opening: readonly number[] = [],
): QuestionPrompt {
  // A generated answer gets what the prompt leaves, at least one token.
  const room = contextLength - (format.answer.kind === "generated" ? 1 : opening.length);
  const most = Math.min(format.tooLong.most, room);
  const draft = format.tooLong.how === "dropLongest"
    ? withoutLongestShots(format, subject, shots, question, encoder, most)
    : withoutLastShots(format, subject, shots, question, encoder, most);
  const cut = Math.max(0, draft.ids.length - room);
  return { ...draft, ids: [...draft.ids.slice(cut), ...opening], cut };
}

/** The words of a prompt: the subject's header, the examples and the question. */
export function promptText(
  format: PromptFormat,
  subject: Subject,
  shots: Question[],
  question: Question,
): string {
  return format.header(subject) + shots.map(format.shot).join("") + format.question(question);
}

/**
 * The tokens of the four letters, as the next token after a prompt.
 *
 * @throws {UserError} when a letter is not exactly one token
 */
export function letterChoices(
  answer: LetterAnswer | LetterTurn,
  encoder: PromptEncoder,
): AnswerChoices {
  return answer.kind === "letterTurn"
    ? answerChoices(encoder, LETTERS)
    : { opening: [], ids: letterIds(answer, encoder) };
}

function letterIds(answer: LetterAnswer, encoder: Encoder): number[] {
  const cue = encoder.encode(answer.cue);
  return LETTERS.map((letter) => {
    const whole = encoder.encode(answer.cue + answer.before + letter);
    const added = whole.slice(cue.length);
    const joins = cue.some((id, i) => id !== whole[i]);
    if (joins || added.length !== 1) {
      throw new UserError(
        `the tokenizer writes ${JSON.stringify(answer.before + letter)} after ` +
          `${JSON.stringify(answer.cue)} as ${
            joins ? "a part of it" : `${added.length} tokens`
          }, ` +
          `and scoring letters needs one token; choose a protocol that generates, such as ` +
          `--protocol=steel-chat`,
      );
    }
    return added[0];
  });
}

type Draft = Omit<QuestionPrompt, "cut">;

/** All shots, or as many from the front as fit; a prompt format that cuts tokens keeps them all. */
function withoutLastShots(
  format: PromptFormat,
  subject: Subject,
  shots: Question[],
  question: Question,
  encoder: PromptEncoder,
  most: number,
): Draft {
  const write = (count: number): Draft => {
    const text = promptText(format, subject, shots.slice(0, count), question);
    return { text, ids: encodePrompt(format, text, encoder), shots: count };
  };
  let draft = write(shots.length);
  if (format.tooLong.how === "cut") return draft;
  while (draft.ids.length > most && draft.shots > 0) draft = write(draft.shots - 1);
  return draft;
}

/** CMMLU's rule: parts are counted apart, and all shots of the greatest length go at once. */
function withoutLongestShots(
  format: PromptFormat,
  subject: Subject,
  shots: Question[],
  question: Question,
  encoder: PromptEncoder,
  most: number,
): Draft {
  const count = (text: string) => encoder.encodePrompt(text).length;
  const [header, end] = [format.header(subject), format.question(question)];
  const room = most - count(header) - count(end);
  const write = (kept: string[]): Draft => {
    const text = kept.join("") + end;
    return { text, ids: encodePrompt(format, text, encoder), shots: Math.max(0, kept.length - 1) };
  };
  if (room < 0) return write([]);

  let kept = shots.map(format.shot).map((text) => ({ text, length: count(text) }));
  while (kept.length > 0 && kept.reduce((sum, { length }) => sum + length, 0) >= room) {
    const longest = Math.max(...kept.map(({ length }) => length));
    kept = kept.filter(({ length }) => length !== longest);
  }
  return write([header, ...kept.map(({ text }) => text)]);
}

function encodePrompt(format: PromptFormat, text: string, encoder: PromptEncoder): number[] {
  if (!format.chat) return encoder.encodePrompt(text);
  const messages: ChatMessage[] = [{ role: "user", content: text }];
  const { system } = format;
  if (system === undefined || !encoder.takesSystem) return encoder.encodeChat(messages);
  return encoder.encodeChat([{ role: "system", content: system }, ...messages]);
}
