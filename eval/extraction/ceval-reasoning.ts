/** How C-Eval's `evaluator_series` finds a letter in a chain of thought. */

import { isLetter, type Letter, LETTERS, type Question } from "../benchmarks/benchmark.ts";
import { firstMatch } from "./first-match.ts";

/**
 * Tried in order when there is no conclusion in the form of the shots. The authors' eighth, 选择答案
 * and a letter, is left out: the fifth has found it before.
 */
const RULES = [
  /([ABCD])是正确的/,
  /选项([ABCD])正确/,
  /答案为([ABCD])/,
  /答案是([ABCD])/,
  /答案([ABCD])/,
  /选择([ABCD])/,
  /答案：([ABCD])/,
];

/**
 * @param written the model's reasoning
 * @returns undefined when it has no clear letter: the authors count that as wrong
 */
export function letterOfCevalReasoning(written: string, question: Question): Letter | undefined {
  const conclusion = [...written.matchAll(/所以答案是([^\n]+?)。/g)].at(-1)?.[1];
  if (isLetter(conclusion)) return conclusion;
  const matched = firstMatch(RULES, written);
  if (matched) return matched;
  const mentioned = written.match(/[ABCD]/g) ?? [];
  if (mentioned.length === 1) return mentioned[0] as Letter;
  const quoted = LETTERS.filter((letter) => written.includes(question.options[letter]));
  return quoted.length === 1 ? quoted[0] : undefined;
}
