import type { PoemQuestion } from "../../data/exam/poem-questions.ts";
import { examPrompt } from "../../data/instructions/exam.ts";
import { answerChoices } from "../../model/tokenizer/answer-choices.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";

/** How a model did in an exam. */
export interface ExamAccuracy {
  /** The share of the questions that it answers rightly. */
  share: number;
  /** The same for a person, such as `52.1 % of 240 questions (form 90.0 %); guessing gets 25 %`. */
  text: string;
}

/**
 * Asks a model questions in the chat template: its answer is the likeliest of the four letters.
 *
 * @param onScored called with the number of questions that have an answer, whenever some more have
 */
export async function examAccuracy(
  model: LanguageModel,
  questions: readonly PoemQuestion[],
  onScored?: (questions: number) => void,
): Promise<ExamAccuracy> {
  const { tokenizer } = model;
  const { opening, ids } = answerChoices(tokenizer, ["A", "B", "C", "D"]);
  const prompts = questions.map(({ exam }) => [
    ...tokenizer.encodeChat([{ role: "user", content: examPrompt(exam, "answer") }]),
    ...opening,
  ]);
  const logits = await model.choiceLogits(prompts, ids, { onScored });
  const results = questions.map(({ kind, exam }, i) => {
    const best = logits[i].indexOf(Math.max(...logits[i]));
    return { kind, right: "ABCD"[best] === exam.answer };
  });
  const kinds = [...Map.groupBy(results, ({ kind }) => kind)]
    .map(([kind, results]) => `${kind} ${percent(shareOfRight(results))}`);
  const share = shareOfRight(results);
  return {
    share,
    text: `${percent(share)} of ${results.length} questions (${kinds.join(", ")}); guessing gets ` +
      `25 %`,
  };
}

function shareOfRight(results: readonly { right: boolean }[]): number {
  return results.filter(({ right }) => right).length / results.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
