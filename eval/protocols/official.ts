/**
 * The benchmarks as their own authors ask them: five shots from dev, in order, and the letter with
 * the highest logit at the last position.
 *
 * - C-Eval: github.com/hkust-nlp/ceval, README and `evaluator_series` (the README's Chinese subject
 *   names; the script passes handles)
 * - CMMLU: github.com/haonan-li/CMMLU, `src/mp_utils.py`
 * - MMLU: github.com/hendrycks/test, `evaluate.py` (two spaces before the subject, as it prints)
 */

import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Benchmark } from "../benchmarks/benchmark.ts";
import { letterOfCevalReasoning } from "../extraction/ceval-reasoning.ts";
import { letterOfCmmluAnswer } from "../extraction/cmmlu-answer.ts";
import { GREEDY, optionLines, type PromptFormat } from "./protocol.ts";

/** The authors' generation lengths and prompt limits, in tokens. */
const MAX_PROMPT = 2048;
const MAX_REASONING = 512;

export function official(benchmark: Benchmark, chainOfThought: boolean): PromptFormat {
  switch (benchmark.key) {
    case "cmmlu":
      return chainOfThought ? cmmluReasoning : cmmlu;
    case "mmlu":
      if (chainOfThought) {
        throw new UserError("--cot: MMLU's authors have no chain-of-thought prompt; leave it out");
      }
      return mmlu;
    default:
      return chainOfThought ? cevalReasoning : ceval;
  }
}

const ceval: PromptFormat = {
  source: "C-Eval's README and evaluator_series",
  shots: { standard: 5, most: 5 },
  header: ({ name }) => `以下是中国关于${name}考试的单项选择题，请选出其中的正确答案。\n\n`,
  shot: (question) => `${ceval.question(question)}${question.answer}\n\n`,
  question: (question) => `${question.text}${optionLines(question)}\n答案：`,
  chat: false,
  tooLong: { most: MAX_PROMPT, how: "dropLast" },
  answer: { kind: "letters", cue: "\n答案：", before: "" },
};

const cevalReasoning: PromptFormat = {
  ...ceval,
  source: "C-Eval's chain-of-thought prompt",
  shot: (question) => {
    if (question.explanation === undefined) {
      throw new UserError("--cot: the examples in dev have no column explanation; give --shots=0");
    }
    return `${question.text}${optionLines(question)}\n答案：让我们一步一步思考，\n` +
      `${question.explanation}\n所以答案是${question.answer}。\n\n`;
  },
  question: (question) =>
    `${question.text}${optionLines(question)}\n答案：让我们一步一步思考，\n1.`,
  answer: {
    kind: "generated",
    decoding: { ...GREEDY, maxNewTokens: MAX_REASONING },
    extract: letterOfCevalReasoning,
  },
};

const cmmlu: PromptFormat = {
  source: "CMMLU's mp_utils.py",
  shots: { standard: 5, most: 5 },
  header: ({ name }) => `以下是关于${name}的单项选择题，请直接给出正确答案的选项。\n\n`,
  shot: (question) => `${cmmlu.question(question)}${question.answer}\n\n`,
  question: (question) => `题目：${question.text}${optionLines(question)}\n答案是：`,
  chat: false,
  tooLong: { most: MAX_PROMPT, how: "dropLongest" },
  answer: { kind: "letters", cue: "\n答案是：", before: "" },
};

/** Only the question itself asks for reasoning; its shots give letters. */
const cmmluReasoning: PromptFormat = {
  ...cmmlu,
  source: "CMMLU's chain-of-thought prompt for chat models",
  header: ({ name }) => `以下是关于${name}的单项选择题，请分析并选出正确答案。\n\n`,
  question: (question) =>
    `题目：${question.text}${optionLines(question)}\n逐步分析并给出答案选项。`,
  chat: true,
  answer: {
    kind: "generated",
    decoding: { ...GREEDY, maxNewTokens: MAX_REASONING },
    extract: letterOfCmmluAnswer,
  },
};

const mmlu: PromptFormat = {
  source: "MMLU's evaluate.py",
  shots: { standard: 5, most: 5 },
  header: ({ name }) =>
    `The following are multiple choice questions (with answers) about  ${name}.\n\n`,
  shot: (question) => `${mmlu.question(question)} ${question.answer}\n\n`,
  question: (question) => `${question.text}${optionLines(question)}\nAnswer:`,
  chat: false,
  tooLong: { most: MAX_PROMPT, how: "dropLast" },
  answer: { kind: "letters", cue: "\nAnswer:", before: " " },
};
