/**
 * The scripts that produced Steel-LLM's published scores (github.com/zhanshijinwat/Steel-LLM,
 * `eval/eval_chat.py`, `eval_CMMLU.py`, `eval_mmlu.py`): no shots, one chat turn, a generated
 * answer and rules that find a letter in it.
 *
 * One thing differs: pandas, from version 2 on, reads the option "None" of ten of MMLU's
 * questions as missing and the authors' script prints "nan"; here it stays what it is.
 */

import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Benchmark, Question } from "../benchmarks/benchmark.ts";
import { letterOfCevalAnswer } from "../extraction/ceval-answer.ts";
import { letterOfCmmluAnswer } from "../extraction/cmmlu-answer.ts";
import { letterOfMmluAnswer } from "../extraction/mmlu-answer.ts";
import { GREEDY, optionLines, type PromptFormat, STEEL_SYSTEM } from "./protocol.ts";

/** The checkpoint's `generation_config.json`, at the scripts' temperature: greedy but for ties. */
export const PUBLISHED_SAMPLING = { temperature: 0.001, topP: 0.8, repetitionPenalty: 1.1 };

export function steelChat(benchmark: Benchmark, chainOfThought: boolean): PromptFormat {
  if (chainOfThought) throw new UserError("--cot: steel-chat has no such prompt; leave it out");
  switch (benchmark.key) {
    case "cmmlu":
      return cmmlu;
    case "mmlu":
      return mmlu;
    default:
      return ceval;
  }
}

const ceval: PromptFormat = {
  source: "Steel-LLM's eval_chat.py",
  shots: { standard: 0, most: 0 },
  header: () => "",
  shot: () => "",
  question: (question) => framed(questionAndOptions(question).replaceAll("____。", "( )")),
  chat: true,
  system: STEEL_SYSTEM,
  tooLong: { most: Infinity, how: "cut" },
  answer: {
    kind: "generated",
    decoding: { ...GREEDY, maxNewTokens: 1024 },
    extract: letterOfCevalAnswer,
  },
};

const cmmlu: PromptFormat = {
  ...ceval,
  source: "Steel-LLM's eval_CMMLU.py",
  question: (question) => framed(questionAndOptions(question).replaceAll("____", "")),
  answer: {
    kind: "generated",
    decoding: { ...PUBLISHED_SAMPLING, maxNewTokens: 64 },
    extract: letterOfCmmluAnswer,
  },
};

const mmlu: PromptFormat = {
  ...ceval,
  source: "Steel-LLM's eval_mmlu.py",
  question: (question) =>
    "The following is a multiple-choice question. Please choose the most suitable one among A, " +
    `B, C and D as the answer to this question.\n\n${question.text}${optionLines(question)}\n`,
  answer: {
    kind: "generated",
    decoding: { ...GREEDY, maxNewTokens: 1024 },
    extract: letterOfMmluAnswer,
  },
};

function questionAndOptions(question: Question): string {
  return `${question.text}\n${optionLines(question)}\n`;
}

function framed(text: string): string {
  return `以下是一道单选题:\n${text}请给出答案。\n`;
}
