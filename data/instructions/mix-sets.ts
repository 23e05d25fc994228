import { UserError } from "../../kernels/runtime/user-error.ts";
import { shuffled } from "../random.ts";

/** The name of a set, and how much of it is wanted. */
export interface SetChoice {
  name: string;
  /** A share of the set, or its weight beside the others'. */
  amount: number;
}

/** What the amounts behind sets are: see {@linkcode chooseExamples}. */
export type Mix = "fraction" | "weight";

/** Reads `NAME` or `NAME: 0.2`. @throws UserError for an amount that is no number above 0 */
export function parseSetChoice(text: string): SetChoice {
  const [, name, amount] = /^(.*?)(?::\s*([^:/\\]*))?$/s.exec(text)!;
  if (amount === undefined) return { name: name.trim(), amount: 1 };
  const value = Number(amount);
  if (amount.trim() !== "" && Number.isFinite(value) && value > 0) {
    return { name: name.trim(), amount: value };
  }
  throw new UserError(`data.sets: ${JSON.stringify(text)}: expected "NAME" or "NAME: 0.2"`);
}

/** Whether every example of every set is wanted, so that none need be counted. */
export function wantsAll(choices: readonly SetChoice[], mix: Mix): boolean {
  return mix === "fraction" ? choices.every(({ amount }) => amount === 1) : choices.length === 1;
}

/**
 * Which examples of each set to take, drawn at random: for each set, 1 for an example that is taken
 * and 0 for one that is not.
 *
 * @param mix `fraction`: that share of each set, at most all of it; `weight`: shares of the whole
 *   that are as the weights, as large as the scarcest set allows without repeating anything
 * @throws UserError for a fraction above 1
 */
export function chooseExamples(
  sets: readonly { choice: SetChoice; examples: number }[],
  mix: Mix,
  seed: number,
): Uint8Array[] {
  const scale = mix === "fraction"
    ? 1
    : Math.min(...sets.map(({ choice, examples }) => examples / choice.amount));
  return sets.map(({ choice: { name, amount }, examples }, index) => {
    if (mix === "fraction" && amount > 1) {
      throw new UserError(
        `data.sets: ${name}: ${amount} is more than the whole set; give a fraction up to 1, or set ` +
          `data.mix to weight`,
      );
    }
    const wanted = amount * (mix === "fraction" ? examples : scale);
    const count = Math.min(examples, Math.max(1, Math.round(wanted)));
    const taken = new Uint8Array(examples);
    for (const example of shuffled(examples, seed, index).subarray(0, count)) taken[example] = 1;
    return taken;
  });
}
