import type { PoemQuestion } from "../data/exam/poem-questions.ts";
import { examPrompt } from "../data/instructions/exam.ts";
import { chatRenderer } from "../model/chat-template.ts";
import type { LanguageModel } from "../model/language-model.ts";

/** Questions put at once. */
const TOGETHER = 16;

/** How many questions a model answers rightly, in all and by kind. */
export class ExamAccuracy {
  readonly #counts = new Map<string, { right: number; asked: number }>();

  add(kind: string, right: boolean): void {
    const count = this.#counts.get(kind) ?? { right: 0, asked: 0 };
    count.asked++;
    count.right += Number(right);
    this.#counts.set(kind, count);
  }

  /** From 0 to 1. */
  get accuracy(): number {
    const counts = [...this.#counts.values()];
    const asked = counts.reduce((sum, count) => sum + count.asked, 0);
    return counts.reduce((sum, count) => sum + count.right, 0) / Math.max(1, asked);
  }

  /** Such as `52.1 % of 240 questions (form 90.0 %, author 30.0 %); guessing gets 25 %`. */
  toString(): string {
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    const kinds = [...this.#counts].map(([kind, { right, asked }]) =>
      `${kind} ${percent(right / asked)}`
    );
    const asked = [...this.#counts.values()].reduce((sum, count) => sum + count.asked, 0);
    return `${percent(this.accuracy)} of ${asked} questions (${
      kinds.join(", ")
    }); guessing gets 25 %`;
  }
}

/** Asks a model questions in the chat template: its answer is the likeliest of the four letters. */
export async function examAccuracy(
  model: LanguageModel,
  questions: readonly PoemQuestion[],
): Promise<ExamAccuracy> {
  const { tokenizer } = model;
  const letters = ["A", "B", "C", "D"].map((letter) => tokenizer.encode(letter)[0]);
  const accuracy = new ExamAccuracy();
  for (let first = 0; first < questions.length; first += TOGETHER) {
    const asked = questions.slice(first, first + TOGETHER);
    const prompts = asked.map(({ exam }) =>
      tokenizer.encode(chatRenderer.prompt(examPrompt(exam, "answer"), 0))
    );
    const logits = await model.choiceLogits(prompts, letters);
    asked.forEach(({ kind, exam }, i) => {
      const best = logits[i].indexOf(Math.max(...logits[i]));
      accuracy.add(kind, "ABCD"[best] === exam.answer);
    });
  }
  return accuracy;
}
