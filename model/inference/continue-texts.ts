import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Parameters } from "../network/parameters.ts";
import { needsOf } from "./next-tokens.ts";
import { roomForTokens } from "./plan-sizes.ts";
import { type Prompt, RunningBatch, type TextStep } from "./running-batch.ts";

/**
 * Continues texts together, a token a step, until the last of them has ended.
 *
 * @param prompts at least one; all with the same options of sampling
 * @returns of each step, the new id of each text; undefined for a text that has ended
 */
export async function* continueTexts(
  gpu: Gpu,
  parameters: Parameters,
  prompts: readonly Prompt[],
): AsyncGenerator<(number | undefined)[]> {
  const longest = Math.max(...prompts.map(({ ids }) => ids.length));
  const capacity = roomForTokens(longest + Math.max(...prompts.map(({ maxTokens }) => maxTokens)));
  const room = { texts: prompts.length, capacity };
  const batch = await RunningBatch.open(gpu, parameters, room, needsOf(prompts[0].sampling));
  const ofPrompts = (added: readonly TextStep[]) => {
    const ids = new Map(added.map(({ text, token }) => [text, token?.id]));
    return prompts.map((prompt) => ids.get(prompt));
  };
  try {
    yield ofPrompts(await batch.join(prompts));
    while (batch.size > 0) yield ofPrompts(await batch.step());
  } finally {
    await batch.close();
  }
}
