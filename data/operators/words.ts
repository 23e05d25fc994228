import { ModelMissing, type Models } from "./operator.ts";
import { SPECIAL_CHARACTERS } from "./special-characters.ts";
import { CodePointSet, isHighSurrogate, isLowSurrogate } from "./unicode.ts";

const HAN = CodePointSet.matching(/\p{sc=Han}/u);
const [TAB, LINE_FEED, SPACE] = [0x09, 0x0A, 0x20];

/**
 * How a text is split into words, by the arguments of an operator.
 *
 * @throws ModelMissing for `tokenization` without a SentencePiece model
 */
export function splitterOf(
  { tokenization, split_han }: { tokenization: boolean; split_han: boolean },
  { piecesOf }: Models,
): (text: string) => string[] {
  if (!tokenization) return (text) => wordsOf(text, split_han);
  if (piecesOf === undefined) {
    throw new ModelMissing("with tokenization it needs a SentencePiece model (--sentencepiece)");
  }
  return (text) => {
    const words: string[] = [];
    for (const piece of piecesOf(text)) addWord(words, piece, 0, piece.length);
    return words;
  };
}

/**
 * Data-Juicer's words: what stands between spaces, line feeds and tabs, without the special
 * characters at both ends. Chinese without spaces is one word; with `splitHan` (not Data-Juicer's)
 * each Chinese character is one.
 */
function wordsOf(text: string, splitHan = false): string[] {
  const words: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!;
    const next = at + (point > 0xFFFF ? 2 : 1);
    if (point === SPACE || point === LINE_FEED || point === TAB) {
      addWord(words, text, start, at);
      start = next;
    } else if (splitHan && HAN.has(point)) {
      addWord(words, text, start, at);
      addWord(words, text, at, next);
      start = next;
    }
    at = next;
  }
  addWord(words, text, start, text.length);
  return words;
}

/**
 * Adds the word between two places of the text, without special characters at its ends, unless it
 * is empty.
 */
function addWord(words: string[], text: string, start: number, end: number): void {
  while (start < end) {
    const point = text.codePointAt(start)!;
    if (!SPECIAL_CHARACTERS.has(point)) break;
    start += point > 0xFFFF ? 2 : 1;
  }
  while (end > start) {
    const last = lastCodePoint(text, end);
    if (!SPECIAL_CHARACTERS.has(last)) break;
    end -= last > 0xFFFF ? 2 : 1;
  }
  if (start < end) words.push(text.slice(start, end));
}

/** The code point that ends at `end`. */
function lastCodePoint(text: string, end: number): number {
  const last = text.charCodeAt(end - 1);
  const paired = isLowSurrogate(last) && isHighSurrogate(text.charCodeAt(end - 2));
  return paired ? text.codePointAt(end - 2)! : last;
}
