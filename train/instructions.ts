import { UnusableExample } from "../data/instructions/conversation.ts";
import type { Identity } from "../data/instructions/identity.ts";
import { mixSets, parseSetChoice } from "../data/instructions/mix-sets.ts";
import { Problems } from "../data/instructions/read-set.ts";
import { findSets, type InstructionSet } from "../data/instructions/registry.ts";
import { UserError } from "../kernels/user-error.ts";
import type { FineTuningSettings } from "./fine-tuning-settings.ts";

/**
 * What the sets of the settings hold, mixed; what cannot be used is counted and printed.
 *
 * @param embedded makes the stage's embedded set
 * @throws UserError for a set that is not there or of no use
 */
export async function readSets<T>(
  data: FineTuningSettings["data"],
  embedded: (options: Identity & { seed: number }) => Promise<T[]>,
  read: (set: InstructionSet, identity: Identity, problems: Problems) => Promise<T[]>,
): Promise<T[]> {
  const choices = data.sets.map(parseSetChoice);
  const names = choices.map(({ name }) => name).filter((name) => name !== "embedded");
  const files = new Map(findSets(names, data.dir).map((set) => [set.name, set]));
  const problems = new Problems();
  const sets = [];
  for (const choice of choices) {
    const set = files.get(choice.name);
    const examples = set ? await read(set, data, problems) : await embedded(data);
    sets.push({ choice, examples });
  }
  if (problems.count > 0) console.log(String(problems));
  return mixSets(sets, data.mix, data.seed);
}

/**
 * What can be learnt from, beside its encoding; the rest is counted and printed.
 *
 * @param encode throws UnusableExample for what cannot
 * @throws UserError if nothing is left
 */
export function encodeAll<T, E>(
  examples: readonly T[],
  encode: (example: T) => E,
): { source: T; encoded: E }[] {
  const problems = new Problems();
  const usable = examples.flatMap((source, index) => {
    try {
      return [{ source, encoded: encode(source) }];
    } catch (error) {
      if (!(error instanceof UnusableExample)) throw error;
      problems.add(`example ${index + 1}`, error.message);
      return [];
    }
  });
  if (usable.length === 0) {
    throw new UserError(`no example is left to learn from; raise data.cutoff. ${problems}`);
  }
  if (problems.count > 0) console.log(String(problems));
  return usable;
}
