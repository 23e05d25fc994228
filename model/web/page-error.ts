import type { Words } from "../../data/page/words.ts";

/** Something that the page says to its visitor, in both languages. */
export class PageError extends Error {
  override name = "PageError";

  /** Takes what was wrong and what to do about it. */
  constructor(readonly words: Words) {
    super(words.en);
  }
}
