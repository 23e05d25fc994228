import { SplitPreTokenizer } from "@huggingface/tokenizers";

/**
 * A regular expression of a `tokenizer.json` in JavaScript's syntax: the translation of
 * `@huggingface/tokenizers` itself.
 *
 * @throws SyntaxError if it is none
 */
export function splitPattern(regex: string): RegExp {
  const config = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  const split = new SplitPreTokenizer(config as ConstructorParameters<typeof SplitPreTokenizer>[0]);
  const { pattern } = split as unknown as { pattern: RegExp };
  return new RegExp(pattern.source, "gu");
}
