import { defineOperator, mapper } from "./operator.ts";
import { strip } from "./unicode.ts";

/*
 * Each inserts a break between its two groups, one after another; both groups are used up, so a run
 * such as `......` breaks pair by pair. The last expression's class is the original's: a group
 * written as a class by mistake.
 */
const SENTENCE_ENDS = [
  /([.。!！？?])([^’”])/gu,
  /(\.{6})([^’”])/gu,
  /(……)([^’”])/gu,
  /([.。!！？?{6}…2][’”])([^’”])/gu,
];
const SPECIAL = /[^a-zA-Z0-9\u4E00-\u9FA5\n\t ]/gu;

/** Removes sentences of a document that occurred in it before. */
export const removeRepeatSentencesMapper = defineOperator(
  "remove_repeat_sentences_mapper",
  { lowercase: false, ignore_special_character: true, min_repeat_sentence_length: 2 },
  (values) =>
    mapper((text) => {
      const seen = new Set<string>();

      function isNew(sentence: string): boolean {
        let key = strip(sentence);
        if (values.lowercase) key = key.toLowerCase();
        if (values.ignore_special_character) key = key.replace(SPECIAL, "");
        if (isShorterThan(key, values.min_repeat_sentence_length)) return true;
        if (seen.has(key)) return false;
        seen.add(key);
        return true;
      }

      return text.split("\n").map((line) => sentencesOf(line).filter(isNew).join("")).join("\n");
    }),
);

/** The sentences of a line; joined with nothing, they are the line. */
function sentencesOf(line: string): string[] {
  let broken = line;
  for (const end of SENTENCE_ENDS) broken = broken.replace(end, "$1\n$2");
  return broken.split("\n");
}

/** Whether the text has fewer code points than `length`. */
function isShorterThan(text: string, length: number): boolean {
  return text.length < length || (text.length < 2 * length && [...text].length < length);
}
