import type { TurnEncoder } from "../../data/instructions/encode.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** Answers that a model chooses from by the likeliest next token. */
export interface AnswerChoices {
  /** Ids that the chat template writes between the prompt and every answer, such as empty thoughts. */
  readonly opening: readonly number[];
  /** The id that tells each answer from the others [choices]. */
  readonly ids: readonly number[];
}

/**
 * The tokens by which the answers to a question of a chat are told apart.
 *
 * @param choices the answers, such as `A` and `B`
 * @throws UserError if two of them begin with the same token, or if there is no chat template
 */
export function answerChoices(encoder: TurnEncoder, choices: readonly string[]): AnswerChoices {
  const answers = choices.map((answer) =>
    encoder.encodeTurns({ turns: [{ question: "?", answer }] })[0].answer
  );
  const [first] = answers;
  let shared = 0;
  while (shared < first.length && answers.every((ids) => ids[shared] === first[shared])) shared++;
  const ids = answers.map((answer) => answer[shared]);
  if (ids.includes(undefined as never) || new Set(ids).size < ids.length) {
    throw new UserError(
      `the tokenizer does not tell the answers ${choices.join(", ")} apart by one token each, in ` +
        `its chat template`,
    );
  }
  return { opening: first.slice(0, shared), ids };
}
