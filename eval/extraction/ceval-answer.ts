/** How Steel-LLM's `eval_chat.py` finds a letter in a chat model's answer to a C-Eval question. */

import { strip } from "../../data/operators/unicode.ts";
import { type Letter, LETTERS, type Question } from "../benchmarks/benchmark.ts";
import { firstMatch } from "./first-match.ts";
import { mostSimilar } from "./fuzzy-match.ts";

/** Where Python's `$` matches: at the end, or before the line break that ends the text. */
const END = String.raw`(?=\n?$)`;

/** Tried in order; the first that matches gives the letter. */
const RULES = [
  // 选A。 | 答案是A， | 选项为：A) — but not "答案不是A"
  String.raw`(?:(?:选择?|选定)[：:]?\s*` +
  String.raw`|(?:答案|选项)(?![^ABCD]{0,10}?[不非][^ABCD]{0,10}?[是选为：:】])` +
  String.raw`[^ABCD]{0,10}?[是选为：:】][^ABCD]{0,10}?)` +
  `([ABCD])(?:选项)?(?:[)。.，,．、ABCD：:）]|${END})`,
  // A选项正确 | A项符合题意 — but not "A不正确"
  String.raw`([ABCD])(?:选?项)?(?![^ABCD]{0,4}?[不非][^ABCD]{0,4}?(?:正确|对[的，。：]|符合))` +
  String.raw`[^ABCD]{0,4}?(?:正确|对[的，。：]|符合)`,
  // A. at the very beginning
  String.raw`^[(（]?([ABCD])(?:[。)）.，,．：:]|${END})`,
  // 最终答案是A — a rule of the script's last version only; it is known to be there, but not how it
  // is spelt exactly
  String.raw`最终答案是[：:]?\s*([ABCD])`,
  // The first letter that is not part of a word or an equation
  String.raw`(?<![a-zA-Z])([ABCD])(?![a-zA-Z=])`,
].map((rule) => new RegExp(rule, "u"));

/**
 * @param written the model's answer
 * @param prompt the user's turn, which some models repeat
 */
export function letterOfCevalAnswer(written: string, question: Question, prompt: string): Letter {
  const answer = withoutQuestion(written.replaceAll(prompt, ""), question);
  return firstMatch(RULES, answer) ?? LETTERS[mostSimilar(answer, Object.values(question.options))];
}

/**
 * The answer with the question's last sentence taken out, around its blank, and the options' texts
 * replaced by their letters, the longest first.
 */
function withoutQuestion(answer: string, question: Question): string {
  const parts = trimFullStops(question.text).split("。").at(-1)!.split("_");
  const [before, after] = [parts[0], parts.at(-1)!];
  if (characters(strip(before)) > 4) answer = answer.replaceAll(before, "答案是");
  if (characters(strip(after)) > 4) answer = answer.replaceAll(after, "");

  const longestFirst = Object.entries(question.options)
    .toSorted(([, a], [, b]) => characters(b) - characters(a));
  for (const [letter, option] of longestFirst) {
    answer = answer.replaceAll(trimFullStops(option), letter);
  }
  return answer;
}

function trimFullStops(text: string): string {
  return text.replace(/。+$/, "");
}

/** Length as Python counts it: code points. */
function characters(text: string): number {
  return [...text].length;
}
