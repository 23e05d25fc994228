import { shown } from "../text/shown.ts";
import { type Conversation, UnusableExample } from "./conversation.ts";
import type { RawRecord } from "./raw-record.ts";
import { optionalText, requiredText } from "./texts.ts";

/** A question with options, of which one or more are right. */
export interface ExamQuestion {
  /** The kind of question, such as `单选题`. */
  kind: string;
  question: string;
  /** The options from A on. */
  options: string[];
  /** The letter of the right option, or the letters. */
  answer: string;
  /** The explanation of the answer, where there is one. */
  reasoning?: string;
}

/**
 * The form of a question and its answer, as Steel-LLM's authors wrote them: with reasoning before
 * the answer, or the answer alone.
 */
export type ExamStyle = "answer" | "reasoning";

/** The prompt of a question. */
export function examPrompt(
  { kind, question, options }: Pick<ExamQuestion, "kind" | "question" | "options">,
  style: ExamStyle,
): string {
  const lines = options.map((option, index) => `${letterOf(index)}. ${option}\n`).join("");
  const request = style === "answer" ? "请直接给出答案。" : "请先给出解释再给出答案。";
  return `以下是一道${kind}：\n${question}\n${lines}${request}`;
}

/**
 * A question and its answer as a conversation; with reasoning only where there is an explanation.
 */
export function examConversation(exam: ExamQuestion, style: ExamStyle): Conversation {
  const reasoned = style === "reasoning" && exam.reasoning !== undefined;
  const question = examPrompt(exam, reasoned ? "reasoning" : "answer");
  const answer = reasoned ? `${exam.reasoning}\n答案为${exam.answer}` : exam.answer;
  return { turns: [{ question, answer }] };
}

/** Whether a record is of one of the layouts that {@linkcode examOfRow} reads. */
export function isExamRow(record: RawRecord): boolean {
  return "q_main" in record || ("question" in record || "Question" in record) && "A" in record;
}

/** A row of an exam as conversations: in one style, or in both where it has an explanation. */
export function conversationsOfExamRow(
  record: RawRecord,
  style: ExamStyle | "both",
): Conversation[] {
  const exam = examOfRow(record);
  if (style !== "both") return [examConversation(exam, style)];
  const styles: ExamStyle[] = exam.reasoning === undefined ? ["answer"] : ["reasoning", "answer"];
  return styles.map((style) => examConversation(exam, style));
}

/**
 * A question from a row of WanJuan's exams (`q_main`, `option_a`, …, `std_ans`, `answer_detail`),
 * C-Eval (`question`, `A`, …, `answer`, `explanation`), CMMLU (`Question`, `A`, …, `Answer`) or
 * MMLU with names for its columns (`question`, `A`, …, `answer`).
 *
 * @throws UnusableExample if there is no question, no options or no answer among them
 */
function examOfRow(record: RawRecord): ExamQuestion {
  const isWanJuan = "q_main" in record;
  const name = (wanJuan: string, other: string) =>
    isWanJuan ? wanJuan : other in record ? other : other[0].toUpperCase() + other.slice(1);
  const question = requiredText(record, name("q_main", "question"), "the question").trim();
  const given = [...LETTERS, ...FURTHER_LETTERS].map((letter) =>
    optionalText(record, isWanJuan ? `option_${letter.toLowerCase()}` : letter).trim()
  );
  const options = given.slice(0, given.findLastIndex((option) => option !== "") + 1);
  const gap = options.indexOf("");
  if (gap >= 0) {
    throw new UnusableExample(`its option ${LETTERS[gap]} is empty, but not a later one`);
  }
  if (options.length > LETTERS.length) {
    throw new UnusableExample(`it has ${options.length} options, more than ${LETTERS.length}`);
  }
  if (options.length < 2) throw new UnusableExample("it has fewer than two options");
  const answer = requiredText(record, name("std_ans", "answer"), "the answer").trim();
  const letters = LETTERS.slice(0, options.length);
  if (![...answer].every((letter) => letters.includes(letter))) {
    throw new UnusableExample(
      `its answer is ${shown(answer)}, its options are ${letters}`,
    );
  }
  // Worked solutions end in a sentence that names the answer, which is put after them anyway.
  const reasoning = optionalText(record, name("answer_detail", "explanation"))
    .replace(/故选.*$/s, "").trim();
  return {
    kind: optionalText(record, "q_type") || (answer.length > 1 ? "多选题" : "单选题"),
    question,
    options,
    answer,
    ...(reasoning !== "" && { reasoning }),
  };
}

const LETTERS = "ABCDE";
const FURTHER_LETTERS = "FGHIJ";

function letterOf(index: number): string {
  return LETTERS[index];
}
