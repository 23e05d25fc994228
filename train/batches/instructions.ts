import { UnusableExample } from "../../data/instructions/conversation.ts";
import { chooseExamples, parseSetChoice, wantsAll } from "../../data/instructions/mix-sets.ts";
import { Problems } from "../../data/instructions/read-set.ts";
import { findSets, type InstructionSet } from "../../data/instructions/registry.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { FineTuningSettings } from "../settings/fine-tuning-settings.ts";

/** Where the examples of a stage come from. */
export interface ExampleSource<T> {
  /** Makes the embedded datasets, by name. */
  embedded: Readonly<Record<string, () => Promise<T[]>>>;
  /** Reads a dataset from its file; records that are no examples are counted as problems. */
  read: (set: InstructionSet, problems: Problems) => AsyncIterable<T>;
}

/** A dataset that the settings name. It can be read several times. */
interface NamedSet<T> {
  name: string;
  examples: (problems: Problems) => AsyncIterable<T> | Iterable<T>;
}

/**
 * Takes the examples of the datasets that the settings name, mixed as they say, one at a time:
 * datasets may be larger than memory.
 *
 * @param take uses an example; throws UnusableExample for one that cannot be
 * @param say called with a summary of the examples that could not be used
 * @throws UserError for a dataset that is missing or unusable, or if no example could be taken
 */
export async function takeExamples<T>(
  data: FineTuningSettings["data"],
  { embedded, read }: ExampleSource<T>,
  take: (example: T) => void,
  say: (text: string) => void,
): Promise<void> {
  const named = data.sets.map(parseSetChoice);
  const names = named.map(({ name }) => name).filter((name) => !(name in embedded));
  const files = new Map(findSets(names, data.dir).map((set) => [set.name, set]));
  const choices = named.map((choice) => ({ ...choice, samples: files.get(choice.name)?.samples }));
  const sets: NamedSet<T>[] = [];
  for (const { name } of choices) {
    const file = files.get(name);
    const made = file ? [] : await embedded[name]();
    sets.push({ name, examples: (problems) => file ? read(file, problems) : made });
  }
  const chosen = wantsAll(choices, data.mix) ? undefined : chooseExamples(
    await Promise.all(sets.map(async (set, i) => ({
      choice: choices[i],
      examples: await count(set.examples(new Problems())),
    }))),
    data.mix,
    data.seed,
  );
  const problems = new Problems();
  let taken = 0;
  for (const [index, { name, examples }] of sets.entries()) {
    let number = 0;
    for await (const example of examples(problems)) {
      number++;
      if (chosen?.[index][number - 1] === 0) continue;
      try {
        take(example);
        taken++;
      } catch (error) {
        if (!(error instanceof UnusableExample)) throw error;
        problems.add(`${name}, example ${number}`, error.message);
      }
    }
  }
  if (taken === 0) {
    throw new UserError(`no example is left to learn from; raise data.cutoff. ${problems}`);
  }
  if (problems.count > 0) say(String(problems));
}

async function count(examples: AsyncIterable<unknown> | Iterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of examples) count++;
  return count;
}
