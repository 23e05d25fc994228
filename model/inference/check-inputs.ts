/** Checks of what a model is asked: every mistake is named before it reaches the GPU. */
import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ModelConfig } from "../network/config.ts";
import {
  anySeed,
  anyShare,
  atLeastOne,
  count,
  isInRange,
  notNegative,
  positive,
  rangeInWords,
} from "../number-range.ts";

/** The ranges of the numbers in options of generation. */
export const GENERATION_RANGES = {
  maxTokens: count,
  temperature: notNegative,
  topP: anyShare,
  topK: count,
  repetitionPenalty: positive,
  seed: anySeed,
};

/** @throws UserError for options of generation that are out of range */
export function checkGeneration(
  options: { readonly [Name in keyof typeof GENERATION_RANGES]?: number },
): void {
  for (const [name, range] of Object.entries(GENERATION_RANGES)) {
    const value = options[name as keyof typeof GENERATION_RANGES];
    if (value === undefined || isInRange(value, range)) continue;
    throw new UserError(`${name} is ${value}; expected ${rangeInWords(range)}.`);
  }
}

/** @throws UserError for a batch size that is out of range */
export function checkBatch(batch: number | undefined): void {
  if (batch === undefined || isInRange(batch, atLeastOne)) return;
  throw new UserError(`batch is ${batch}; expected ${rangeInWords(atLeastOne)}.`);
}

/** @throws UserError for a prompt that the model cannot read, or that leaves no room for a token */
export function checkPrompts(
  config: ModelConfig,
  prompts: readonly (readonly number[])[],
): void {
  const nameOf = (prompt: number) => prompts.length === 1 ? "The prompt" : `Prompt ${prompt}`;
  const empty = prompts.findIndex(({ length }) => length === 0);
  if (empty >= 0) throw new UserError(`${nameOf(empty)} is empty: give at least one character.`);
  if (prompts.length > 0) checkSequences(config, prompts);
  const { maxPositions } = config;
  const full = prompts.findIndex(({ length }) => length === maxPositions);
  if (full < 0) return;
  throw new UserError(
    `${nameOf(full)}'s ${maxPositions} tokens leave no room for more: the model takes at most ` +
      `${maxPositions} (max_position_embeddings). Shorten the prompt.`,
  );
}

/** @throws UserError for sequences of token ids that the model cannot read */
export function checkSequences(
  { vocabSize, maxPositions }: ModelConfig,
  inputIds: readonly (readonly number[])[],
): void {
  if (inputIds.length === 0) throw new UserError("There is no sequence.");
  inputIds.forEach((ids, sequence) => {
    if (ids.length === 0) throw new UserError(`Sequence ${sequence} is empty.`);
    if (ids.length > maxPositions) {
      throw new UserError(
        `Sequence ${sequence} has ${ids.length} tokens; the model takes at most ${maxPositions} ` +
          `(max_position_embeddings).`,
      );
    }
    const bad = ids.find((id) => !isIdBelow(vocabSize, id));
    if (bad !== undefined) {
      throw new UserError(
        `Sequence ${sequence} has token id ${bad}; the vocabulary has ids 0 to ${vocabSize - 1}.`,
      );
    }
  });
}

/** @throws UserError unless there is one label for each token: an id, or -100 */
export function checkLabels(
  { vocabSize }: ModelConfig,
  inputIds: readonly (readonly number[])[],
  labels: readonly (readonly number[])[],
): void {
  if (labels.length !== inputIds.length) {
    throw new UserError(
      `There are ${inputIds.length} sequences, but labels for ${labels.length}.`,
    );
  }
  labels.forEach((ids, sequence) => {
    const wanted = inputIds[sequence].length;
    if (ids.length !== wanted) {
      throw new UserError(`Sequence ${sequence} has ${wanted} tokens, but ${ids.length} labels.`);
    }
    const bad = ids.find((id) => id !== IGNORED_LABEL && !isIdBelow(vocabSize, id));
    if (bad !== undefined) {
      throw new UserError(
        `Sequence ${sequence} has the label ${bad}; a label is -100 to be ignored, or an id from ` +
          `0 to ${vocabSize - 1}.`,
      );
    }
  });
}

/** @throws UserError if there is no choice, or one that is not in the vocabulary */
export function checkChoices({ vocabSize }: ModelConfig, choices: readonly number[]): void {
  if (choices.length === 0) throw new UserError("There is no token to choose.");
  const bad = choices.find((id) => !isIdBelow(vocabSize, id));
  if (bad !== undefined) {
    throw new UserError(
      `Token id ${bad} is no choice; the vocabulary has ids 0 to ${vocabSize - 1}.`,
    );
  }
}

function isIdBelow(size: number, id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < size;
}
