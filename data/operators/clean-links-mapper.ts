import { defineOperator, mapper } from "./operator.ts";
import { requireLiteral, substitute, wrappedPattern } from "./python-pattern.ts";
import { CodePointSet, isLowSurrogate, SPACE, WORD } from "./unicode.ts";

/**
 * Removes links, or what `pattern` matches. A link runs up to white space or one of `()<>`, so that
 * Chinese after it goes too, and none begins right after a Chinese character; `key:value` is one.
 */
export const cleanLinksMapper = defineOperator(
  "clean_links_mapper",
  { pattern: null, repl: "" },
  ({ pattern, repl }) => {
    requireLiteral(repl, "clean_links_mapper.repl");
    if (pattern === null) return mapper((text) => replaceLinks(text, repl));
    const custom = wrappedPattern(pattern, "clean_links_mapper.pattern");
    return mapper((text) => substitute(text, custom, repl));
  },
);

/** Every link matches this quick test; most texts do not and are not searched. */
const HINT = /[:/]|www/i;
const NOT_SPACE = new RegExp(`[^${SPACE}]+`, "g");

/*
 * Data-Juicer's expression is
 *   \b(?:[a-z][\w-]+:(?:\/{1,3}|[a-z0-9%])|www\d{0,3}[.]|[a-z0-9.\-]+[.][a-z]{2,4}\/)
 *   (?:[^\s()<>]+|\(([^\s()<>]+|(\([^\s()<>]+\)))*\))+
 *   (?:\(([^\s()<>]+|(\([^\s()<>]+\)))*\)|[^\s`!()\[\]{};:'".,<>?«»“”‘’])
 * without regard to case: a head, units, and a unit that may close. It can take exponential time.
 * The same matches are found here in linear time: white space is in none, so the text is searched
 * word by word; every head ends where a run of its characters ends; and a link ends at its last
 * unit that may close and has another unit before it.
 */
const LETTER = "a-zA-Z\\u0130\\u017F\\u212A";
const letters = CodePointSet.matching(new RegExp(`[${LETTER}]`));
const hostCharacters = CodePointSet.matching(new RegExp(`[${LETTER}0-9.-]`));
const wordCharacters = CodePointSet.matching(new RegExp(`[${WORD}]`, "u"));
const schemeCharacters = CodePointSet.matching(new RegExp(`[${WORD}-]`, "u"));
const AFTER_COLON = new RegExp(`[/${LETTER}0-9%]`);
const unitCharacters = CodePointSet.matching(new RegExp(`[^${SPACE}()<>]`, "u"));
const closers = CodePointSet.matching(
  new RegExp(`[^${SPACE}\`!()\\[\\]{};:'".,<>?«»“”‘’]`, "u"),
);
const WWW = /www\p{Nd}{0,3}\./iuy;
const TOP_LEVEL_DOMAIN = new RegExp(`\\.[${LETTER}]{2,4}$`);

function replaceLinks(text: string, replacement: string): string {
  if (!HINT.test(text)) return text;
  return text.replace(
    NOT_SPACE,
    (word) => HINT.test(word) ? replaceLinksOfWord(word, replacement) : word,
  );
}

function replaceLinksOfWord(word: string, replacement: string): string {
  const schemes = new Runs(word, schemeCharacters);
  const hosts = new Runs(word, hostCharacters);
  let result = "";
  let done = 0;
  for (let start = 0; start < word.length; start++) {
    if (!hostCharacters.has(word.charCodeAt(start)) || !isBoundary(word, start)) continue;
    const end = endOfLink(word, start, schemes, hosts);
    if (end < 0) continue;
    result += word.slice(done, start) + replacement;
    done = end;
    start = end - 1;
  }
  return result + word.slice(done);
}

/** Where the link that begins at `start` ends, or -1 if none begins there. */
function endOfLink(word: string, start: number, schemes: Runs, hosts: Runs): number {
  if (letters.has(word.charCodeAt(start))) {
    const colon = schemes.endFrom(start + 1);
    if (
      colon > start + 1 && word[colon] === ":" && AFTER_COLON.test(word.slice(colon + 1, colon + 2))
    ) {
      const end = endOfUnits(word, colon + 2);
      if (end >= 0) return end;
    }
    WWW.lastIndex = start;
    if (WWW.test(word)) {
      const end = endOfUnits(word, WWW.lastIndex);
      if (end >= 0) return end;
    }
  }
  const slash = hosts.endFrom(start);
  if (word[slash] !== "/") return -1;
  const domain = TOP_LEVEL_DOMAIN.exec(word.slice(Math.max(start, slash - 5), slash));
  const dot = domain === null ? -1 : slash - domain[0].length;
  return dot > start ? endOfUnits(word, slash + 1) : -1;
}

/** Where the units from `start` on end: at the last that may close and is not the first; or -1. */
function endOfUnits(word: string, start: number): number {
  let end = -1;
  let at = start;
  while (at < word.length) {
    const point = word.codePointAt(at)!;
    const next = point === 0x28 ? endOfParentheses(word, at) : at + (point > 0xFFFF ? 2 : 1);
    if (next < 0 || (point !== 0x28 && !unitCharacters.has(point))) break;
    if (at > start && (point === 0x28 || closers.has(point))) end = next;
    at = next;
  }
  return end;
}

/** Where the parentheses opened at `start` are closed, with at most one level inside; or -1. */
function endOfParentheses(word: string, start: number): number {
  let nestedFrom = -1;
  for (let at = start + 1; at < word.length; at++) {
    const character = word[at];
    if (character === "(") {
      if (nestedFrom >= 0) return -1;
      nestedFrom = at;
    } else if (character === ")") {
      if (nestedFrom < 0) return at + 1;
      if (at === nestedFrom + 1) return -1;
      nestedFrom = -1;
    } else if (character === "<" || character === ">") {
      return -1;
    }
  }
  return -1;
}

/** Python's `\b` before the character at `at`, which is of the basic plane. */
function isBoundary(word: string, at: number): boolean {
  let before = at - 1;
  if (before > 0 && isLowSurrogate(word.charCodeAt(before))) before--;
  const follows = before >= 0 && wordCharacters.has(word.codePointAt(before)!);
  return follows !== wordCharacters.has(word.charCodeAt(at));
}

/** The runs of a set's characters in a text, each found once when asked from left to right. */
class Runs {
  readonly #text: string;
  readonly #set: CodePointSet;
  #start = 0;
  #end = 0;

  constructor(text: string, set: CodePointSet) {
    this.#text = text;
    this.#set = set;
  }

  /** The end of the run that `start` is in; `start` itself if it is in none. */
  endFrom(start: number): number {
    if (start >= this.#start && start < this.#end) return this.#end;
    this.#start = start;
    this.#end = start;
    while (this.#end < this.#text.length) {
      const point = this.#text.codePointAt(this.#end)!;
      if (!this.#set.has(point)) break;
      this.#end += point > 0xFFFF ? 2 : 1;
    }
    return this.#end;
  }
}
