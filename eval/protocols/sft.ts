/**
 * Exam questions as supervised fine-tuning puts them (`data/instructions/exam.ts`, after the exams
 * in Steel-LLM's own mixture): no shots, one chat turn that asks for the answer alone, and the
 * letter with the highest logit where the chat template has the answer.
 */

import { examPrompt } from "../../data/instructions/exam.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Benchmark } from "../benchmarks/benchmark.ts";
import type { PromptFormat } from "./protocol.ts";

export function sft(_benchmark: Benchmark, chainOfThought: boolean): PromptFormat {
  if (chainOfThought) throw new UserError("--cot: sft has no such prompt; leave it out");
  return format;
}

const format: PromptFormat = {
  source: "deno task sft's exam questions",
  shots: { standard: 0, most: 0 },
  header: () => "",
  shot: () => "",
  question: ({ text, options }) =>
    examPrompt({ kind: "单选题", question: text, options: Object.values(options) }, "answer"),
  chat: true,
  tooLong: { most: Infinity, how: "cut" },
  answer: { kind: "letterTurn" },
};
