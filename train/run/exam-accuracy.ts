import type { PoemQuestion } from "../../data/exam/poem-questions.ts";
import { examPrompt } from "../../data/instructions/exam.ts";
import { chatRenderer } from "../../model/tokenizer/chat-template.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";

/**
 * Asks a model questions in the chat template: its answer is the likeliest of the four letters.
 *
 * @returns how many it answers rightly, such as `52.1 % of 240 questions (form 90.0 %, author 30.0 %);
 *   guessing gets 25 %`
 */
export async function examAccuracy(
  model: LanguageModel,
  questions: readonly PoemQuestion[],
): Promise<string> {
  const { tokenizer } = model;
  const letters = ["A", "B", "C", "D"].map((letter) => tokenizer.encode(letter)[0]);
  const prompts = questions.map(({ exam }) =>
    tokenizer.encode(chatRenderer.prompt(examPrompt(exam, "answer"), 0))
  );
  const logits = await model.choiceLogits(prompts, letters);
  const results = questions.map(({ kind, exam }, i) => {
    const best = logits[i].indexOf(Math.max(...logits[i]));
    return { kind, right: "ABCD"[best] === exam.answer };
  });
  const kinds = [...Map.groupBy(results, ({ kind }) => kind)]
    .map(([kind, results]) => `${kind} ${shareOfRight(results)}`);
  return `${shareOfRight(results)} of ${results.length} questions (${kinds.join(", ")}); ` +
    `guessing gets 25 %`;
}

function shareOfRight(results: readonly { right: boolean }[]): string {
  const share = results.filter(({ right }) => right).length / results.length;
  return `${(100 * share).toFixed(1)} %`;
}
