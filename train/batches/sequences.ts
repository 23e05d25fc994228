import { type Example, IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { Item, Sequence } from "./example-batches.ts";

/** An example as the model trains on it: each token's label moved to the token before it. */
export function sequenceOf({ ids, labels }: Example): Sequence {
  return { inputs: ids, labels: [...labels.slice(1), IGNORED_LABEL] };
}

/**
 * An example with the first token of its last answer learnt from the prompt alone, as a sequence of
 * its own. A Soft MoE's dispatch sees the whole sequence: where the answer is among the inputs it
 * gives itself away, and nothing but that would be learnt of an answer of one letter. In generation
 * the first token follows a prompt that stands alone.
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
