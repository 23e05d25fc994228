/**
 * The prompts of EleutherAI's lm-evaluation-harness (github.com/EleutherAI/lm-evaluation-harness,
 * tasks `ceval-valid` 2.0, `cmmlu` 1.0 and `mmlu`): questions stripped of outer spaces, targets
 * with a space before the letter. Five shots is its `--num_fewshot 5`; its own default is none. A
 * text begins as the tokenizer begins it, as in the harness unless `add_bos_token` is given; its older
 * versions put no mark before a text but for Gemma.
 */

import { strip } from "../../data/operators/unicode.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Benchmark, Question, Subject } from "../benchmarks/benchmark.ts";
import { optionLines, type PromptFormat } from "./protocol.ts";

export function harness(benchmark: Benchmark, chainOfThought: boolean): PromptFormat {
  if (chainOfThought) {
    throw new UserError("--cot: lm-evaluation-harness has no such prompt here; leave it out");
  }
  switch (benchmark.key) {
    case "cmmlu":
      return format(
        ({ name }) => `以下是关于${name}的单项选择题，请直接给出正确答案的选项。\n\n`,
        "\n答案：",
      );
    case "mmlu":
      return format(
        ({ name }) =>
          `The following are multiple choice questions (with answers) about ${name}.\n\n`,
        "\nAnswer:",
      );
    default:
      return format(
        ({ name }) => `以下是中国关于${name}的单项选择题，请选出其中的正确答案。\n\n`,
        "\n答案：",
      );
  }
}

function format(header: (subject: Subject) => string, cue: string): PromptFormat {
  const block = (question: Question) => strip(question.text) + optionLines(question) + cue;
  return {
    source: "lm-evaluation-harness",
    shots: { standard: 5, most: 5 },
    header,
    shot: (question) => `${block(question)} ${question.answer}\n\n`,
    question: block,
    chat: false,
    tooLong: { most: Infinity, how: "cut" },
    answer: { kind: "letters", cue, before: " " },
  };
}
