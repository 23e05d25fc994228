import type { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Parameters } from "../network/parameters.ts";
import { Decoder } from "./decoder.ts";
import { roomForTokens } from "./plan-sizes.ts";
import type { SamplingOptions } from "./sampling.ts";

/** A text that is to be continued. */
export interface Prompt {
  /** Its token ids. */
  readonly ids: readonly number[];
  /** The most tokens to add. */
  readonly maxTokens: number;
  /** What draws its tokens. */
  readonly random: Random;
}

/**
 * Continues texts together, a token a step, until the last of them has ended.
 *
 * @param stopIds tokens that end a text, themselves left out
 * @returns of each step, the new id of each text; undefined for a text that has ended
 */
export async function* continueTexts(
  gpu: Gpu,
  parameters: Parameters,
  prompts: readonly Prompt[],
  stopIds: readonly number[],
  sampling: SamplingOptions,
): AsyncGenerator<(number | undefined)[]> {
  const steps = Math.max(...prompts.map(({ maxTokens }) => maxTokens));
  if (steps === 0) return;
  const longest = Math.max(...prompts.map(({ ids }) => ids.length));
  const capacity = roomForTokens(longest + steps);
  const decoder = await Decoder.plan(gpu, parameters, prompts.length, capacity, sampling);
  const left = prompts.map(({ maxTokens }) => maxTokens);
  const stop = new Set(stopIds);
  try {
    const generated = decoder.generate(
      prompts.map(({ ids }) => ids),
      prompts.map(({ random }) => random),
      steps,
    );
    for await (const ids of generated) {
      // A text that has ended goes along until the others have; nobody sees what it adds.
      yield ids.map((id, text) => {
        if (left[text] === 0) return undefined;
        left[text] = stop.has(id) ? 0 : left[text] - 1;
        return stop.has(id) ? undefined : id;
      });
      if (left.every((tokens) => tokens === 0)) return;
    }
  } finally {
    decoder.destroy();
  }
}
