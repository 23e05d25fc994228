import type { AddedToken } from "./byte-pair-tokenizer.ts";

/** Added tokens, which are looked for in a text before anything else is done to it. */
export class AddedTokens {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    this.#ids = new Map(tokens.map(({ content, id }) => [content, id]));
    // Of two added tokens that begin alike, the longer one is meant.
    const contents = [...this.#ids.keys()].toSorted((a, b) => b.length - a.length);
    if (contents.length > 0) this.#pattern = new RegExp(`(${contents.map(escaped).join("|")})`);
  }

  /**
   * The ids of a text.
   *
   * @param normalize what is done to the text between added tokens; what it makes an added token is
   *   one, as in the reference
   * @param encode appends the ids of such a text, normalised and not empty
   */
  encode(
    text: string,
    normalize: (section: string) => string,
    encode: (section: string, ids: number[]) => void,
  ): number[] {
    const ids: number[] = [];
    const sections = this.#pattern ? text.split(this.#pattern) : [text];
    for (const [i, section] of sections.entries()) {
      if (section === "") continue;
      // What the pattern's group has captured stands at the odd places.
      const normal = i % 2 === 1 ? section : normalize(section);
      const id = this.#ids.get(normal);
      if (id !== undefined) ids.push(id);
      else encode(normal, ids);
    }
    return ids;
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
