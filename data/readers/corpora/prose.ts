import { codePointLength } from "../../operators/unicode.ts";

/** The text in Unicode's compatibility form NFKC, without carriage returns. */
export function normalized(text: string): string {
  return text.normalize("NFKC").replaceAll("\r", "");
}

const SHORTEST = 20;

/** The text, or undefined if it has fewer than 20 code points. */
export function longEnough(text: string): string | undefined {
  return codePointLength(text) < SHORTEST ? undefined : text;
}
