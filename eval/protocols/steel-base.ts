/**
 * Steel-LLM's `eval/eval_base.py` (github.com/zhanshijinwat/Steel-LLM): five C-Eval shots and the
 * question inside one chat turn, one generated token, right when it is the letter. Its letter
 * probabilities are computed and then overwritten, so they do not count here either. For CMMLU it
 * is the `eval` of `eval/eval_CMMLU.py`, which is CMMLU's own prompt and letter logits. The authors
 * have no such script for MMLU.
 */

import { UserError } from "../../kernels/runtime/user-error.ts";
import { type Benchmark, isLetter } from "../benchmarks/benchmark.ts";
import { official } from "./official.ts";
import { optionLines, type PromptFormat, STEEL_SYSTEM } from "./protocol.ts";
import { PUBLISHED_SAMPLING } from "./steel-chat.ts";

export function steelBase(benchmark: Benchmark, chainOfThought: boolean): PromptFormat {
  if (chainOfThought) throw new UserError("--cot: steel-base has no such prompt; leave it out");
  switch (benchmark.key) {
    case "cmmlu":
      return { ...official(benchmark, false), source: "Steel-LLM's eval_CMMLU.py, base model" };
    case "mmlu":
      throw new UserError(
        "steel-base: the authors measured MMLU by chat only; use --protocol=steel-chat, official " +
          "or harness",
      );
    default:
      return ceval;
  }
}

const ceval: PromptFormat = {
  source: "Steel-LLM's eval_base.py",
  shots: { standard: 5, most: 5 },
  header: () => "",
  shot: (question) => `${ceval.question(question)}${question.answer}\n\n`,
  question: (question) =>
    `以下是一道单项选择题，请直接给出答案。${question.text}${optionLines(question)}\n答案：`,
  chat: true,
  system: STEEL_SYSTEM,
  tooLong: { most: Infinity, how: "cut" },
  answer: {
    kind: "generated",
    decoding: { ...PUBLISHED_SAMPLING, maxNewTokens: 1 },
    extract: (written) => isLetter(written) ? written : undefined,
  },
};
