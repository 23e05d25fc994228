/**
 * How CMMLU's `mp_utils.py`, which Steel-LLM's `eval_CMMLU.py` uses too, finds a letter in a chat
 * model's answer.
 */

import type { Letter, Question } from "../benchmarks/benchmark.ts";
import { firstMatch } from "./first-match.ts";

/** Tried in order; the first that matches gives the letter. */
const RULES = [
  /答案(?:选项)?[是为]：? ?([ABCD])/,
  /答案[是为]选项 ?([ABCD])/,
  /选择?：? ?([ABCD])/,
  /([ABCD]) ?选?项[是为]?正确/,
  /正确的?选项[是为] ?([ABCD])/,
  /答案应该[是为]([ABCD])/,
  /选项 ?([ABCD]) ?[是为]?正确/,
  /选择答案 ?([ABCD])/,
  /答案?：?([ABCD])/,
  /([ABCD])(?:选?项)?是?符合题意/,
  /答案选项：? ?([ABCD])/,
  /答案(?:选项)?为.*?([ABCD])/s,
];

/** The letter nearest before the first of these words that comes after a letter. */
const VERDICTS = [/[ABCD].*?当选/s, /[ABCD].*?正确/s];

/** Tried last: "…是：A", but not "不是：A"; and the only letter there is. */
const WEAK_RULES = [/[^不]是：? ?([ABCD])/, /^[^ABCD]*([ABCD])[^ABCD]*$/];

/**
 * @param written the model's answer
 * @param random for answers without any letter to go by; the authors guess too
 */
export function letterOfCmmluAnswer(
  written: string,
  _question: Question,
  _prompt: string,
  random: () => Letter,
): Letter {
  // The authors' script saves answers as one line each before it reads letters off them.
  const answer = written.replaceAll("\n", "");
  const letter = /^[ABCD]/.exec(answer)?.[0] ?? firstMatch(RULES, answer) ??
    letterBeforeVerdict(answer) ?? firstMatch(WEAK_RULES, answer);
  return letter as Letter | undefined ?? random();
}

function letterBeforeVerdict(answer: string): string | undefined {
  for (const verdict of VERDICTS) {
    const match = verdict.exec(answer);
    if (match) return match[0].match(/[ABCD]/g)!.at(-1);
  }
  return undefined;
}
