import { type Example, IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { Item, Sequence } from "./example-batches.ts";

/** An example as a sequence to train on: each token's label moves to the token before it. */
export function sequenceOf({ ids, labels }: Example): Sequence {
  return { inputs: ids, labels: [...labels.slice(1), IGNORED_LABEL] };
}

/**
 * An example as two sequences: the model learns the first token of the last answer from the prompt
 * alone, and the rest from the whole example. A Soft MoE's dispatch sees the whole sequence: if the
 * answer is among the inputs, the model can copy it, and learns nothing else from an answer of one
 * letter. In generation, the first token follows a prompt without an answer.
 */
export function unseenAnswerItem(example: Example): Item {
  const { inputs, labels } = sequenceOf(example);
  const last = labels.findLastIndex((label) => label !== IGNORED_LABEL);
  let first = last;
  while (first > 0 && labels[first - 1] !== IGNORED_LABEL) first--;
  const prompt = {
    inputs: inputs.slice(0, first + 1),
    labels: [...new Array(first).fill(IGNORED_LABEL), labels[first]],
  };
  const rest = { inputs, labels: labels.with(first, IGNORED_LABEL) };
  return rest.labels.some((label) => label !== IGNORED_LABEL) ? [prompt, rest] : [prompt];
}
