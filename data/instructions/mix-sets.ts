import { shown } from "../text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { shuffled } from "../random.ts";

/** The name of a set, and how much of it to take. */
export interface SetChoice {
  name: string;
  /** A share of the set, or its weight relative to the others. */
  amount: number;
  /** Of so many of its examples, drawn at random; of all if undefined. */
  samples?: number;
}

/** The meaning of the amounts: see {@linkcode chooseExamples}. */
export type Mix = "fraction" | "weight";

/** Reads `NAME` or `NAME: 0.2`. @throws UserError for an amount that is not a number above 0 */
export function parseSetChoice(text: string): SetChoice {
  const [, name, amount] = /^(.*?)(?::\s*([^:/\\]*))?$/s.exec(text)!;
  if (amount === undefined) return { name: name.trim(), amount: 1 };
  const value = Number(amount);
  if (amount.trim() !== "" && Number.isFinite(value) && value > 0) {
    return { name: name.trim(), amount: value };
  }
  throw new UserError(`data.sets: ${shown(text)}: expected "NAME" or "NAME: 0.2"`);
}

/** Whether all examples of all sets are taken, so that they need not be counted before. */
export function wantsAll(choices: readonly SetChoice[], mix: Mix): boolean {
  if (choices.some(({ samples }) => samples !== undefined)) return false;
  return mix === "fraction" ? choices.every(({ amount }) => amount === 1) : choices.length === 1;
}

/**
 * Draws at random the examples of each set to take: for each set, uint8 [examples] of 1 and 0.
 *
 * @param mix `fraction`: amounts are shares of each set; `weight`: amounts are in proportion to the
 *   shares of the mixture, which is as large as possible without repeating an example
 * @throws UserError for a fraction above 1, and for more samples than a set has examples
 */
export function chooseExamples(
  sets: readonly { choice: SetChoice; examples: number }[],
  mix: Mix,
  seed: number,
): Uint8Array[] {
  const sizes = sets.map(sizeOf);
  const scale = mix === "fraction"
    ? 1
    : Math.min(...sets.map(({ choice }, index) => sizes[index] / choice.amount));
  return sets.map(({ choice: { name, amount }, examples }, index) => {
    if (mix === "fraction" && amount > 1) {
      throw new UserError(
        `data.sets: ${name}: ${amount} is more than the whole set; give a fraction up to 1, or set ` +
          `data.mix to weight`,
      );
    }
    const wanted = amount * (mix === "fraction" ? sizes[index] : scale);
    const count = Math.min(sizes[index], Math.max(1, Math.round(wanted)));
    const taken = new Uint8Array(examples);
    for (const example of shuffled(examples, seed, index).subarray(0, count)) taken[example] = 1;
    return taken;
  });
}

/** How many examples of a set there are to take from. */
function sizeOf({ choice, examples }: { choice: SetChoice; examples: number }): number {
  const { name, samples = examples } = choice;
  if (samples <= examples) return samples;
  throw new UserError(
    `the set "${name}": "num_samples" is ${samples}, but it has ${examples} examples, none of which ` +
      `is taken twice; take that key out to have all`,
  );
}
