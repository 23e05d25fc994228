import { languageOf } from "../cleaning/language.ts";

const KINDS = ["Chinese", "English", "code", "other"] as const;

/** Number of tokens by the language of their text. */
export type LanguageShares = Record<typeof KINDS[number], number>;

/** The counts before the first token. */
export function noTokens(): LanguageShares {
  return { Chinese: 0, English: 0, code: 0, other: 0 };
}

/** Adds the tokens of a text to the language of most of it. */
export function countTokens(shares: LanguageShares, text: string, tokens: number): void {
  const language = isCode(text) ? "code" : languageOf(text);
  shares[language in shares ? language as keyof LanguageShares : "other"] += tokens;
}

/** Such as `Chinese 80.0 %, English 20.0 %`. */
export function sharesInWords(shares: LanguageShares): string {
  const total = KINDS.reduce((sum, kind) => sum + shares[kind], 0);
  return KINDS.filter((kind) => shares[kind] > 0)
    .map((kind) => `${kind} ${(100 * shares[kind] / Math.max(1, total)).toFixed(1)} %`)
    .join(", ");
}

/** Code stands between fences, or has brackets and semicolons at the ends of most of its lines. */
function isCode(text: string): boolean {
  if (/```[\s\S]*```/.test(text)) return true;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const coded = lines.filter((line) => /[;{}]\s*$|^\s*(def|class|import|#include)\b/.test(line));
  return lines.length >= 3 && 2 * coded.length >= lines.length;
}
