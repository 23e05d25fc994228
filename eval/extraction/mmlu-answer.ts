/** How Steel-LLM's `eval_mmlu.py` finds a letter in a chat model's answer to an MMLU question. */

import { type Letter, LETTERS, type Question } from "../benchmarks/benchmark.ts";
import { firstMatch } from "./first-match.ts";
import { mostSimilar } from "./fuzzy-match.ts";

/** Python's `\b`: unlike JavaScript's, its words are made of letters of every script. */
const WORD = String.raw`[\p{L}\p{N}_]`;
const EDGE = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
const WHOLE_LETTER = `(?<!${WORD})([ABCD])(?!${WORD})`;

/**
 * Tried in order; the first that matches gives the letter. The script's rule for a letter at the
 * very beginning is left out: the last one finds the same.
 */
const RULES = [
  // choose A | the answer is A | choice: A — but not "the answer is not A"
  `(?:[Cc]hoose|(?:[Aa]nswer|[Cc]hoice)(?![^ABCD]{0,20}?(?:n't|not))[^ABCD]{0,10}?` +
  `${EDGE}(?:|is|:|be)${EDGE})[^ABCD]{0,20}?${WHOLE_LETTER}`,
  // A is correct | A is right — but not "A is not correct"
  `${WHOLE_LETTER}(?![^ABCD]{0,8}?(?:n't|not)[^ABCD]{0,5}?(?:correct|right))` +
  `[^ABCD]{0,10}?${EDGE}(?:correct|right)${EDGE}`,
  // The first letter that is not part of a word or an equation
  `(?<![a-zA-Z])([ABCD])(?![a-zA-Z=])`,
].map((rule) => new RegExp(rule, "u"));

/** @param written the model's answer */
export function letterOfMmluAnswer(written: string, question: Question): Letter {
  const answer = withLetters(written, question);
  return firstMatch(RULES, answer) ?? LETTERS[mostSimilar(answer, Object.values(question.options))];
}

/** The options' texts replaced by their letters, whatever their case, the longest first. */
function withLetters(answer: string, question: Question): string {
  const longestFirst = Object.entries(question.options)
    .toSorted(([, a], [, b]) => [...b].length - [...a].length);
  for (const [letter, option] of longestFirst) {
    const text = option.replace(/\.+$/, "").replace(/[\\^$.*+?()[\]{}|\/]/g, String.raw`\$&`);
    answer = answer.replace(new RegExp(text, "giu"), letter);
  }
  return answer;
}
