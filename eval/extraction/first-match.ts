import type { Letter } from "../benchmarks/benchmark.ts";

/** The letter that the first matching rule captures; undefined if no rule matches. */
export function firstMatch(rules: readonly RegExp[], answer: string): Letter | undefined {
  for (const rule of rules) {
    const match = rule.exec(answer);
    if (match) return match[1] as Letter;
  }
  return undefined;
}
