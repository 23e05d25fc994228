/** The language of a text, by its script: Latin letters are taken for English. */
export const LANGUAGES = ["Chinese", "English", "Japanese", "Korean", "Russian", "other"] as const;

export type Language = typeof LANGUAGES[number];

/** Number of code units that are examined: the beginning of a page shows its language. */
const LOOKED_AT = 2000;

/** A Chinese character counts as this many Latin letters. */
const LETTERS_OF_A_HAN_CHARACTER = 3;

/** The language of most of the text's beginning; a share of kana makes Chinese Japanese. */
export function languageOf(text: string): Language {
  const counts = { han: 0, latin: 0, kana: 0, hangul: 0, cyrillic: 0 };
  const end = Math.min(text.length, LOOKED_AT);
  for (let i = 0; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x4E00 && unit <= 0x9FFF) counts.han += LETTERS_OF_A_HAN_CHARACTER;
    else if (unit < 0x250 ? isLatin(unit) : unit >= 0xFF21 && unit <= 0xFF5A) counts.latin++;
    else if (unit >= 0x3041 && unit <= 0x30FA) counts.kana += LETTERS_OF_A_HAN_CHARACTER;
    else if (unit >= 0xAC00 && unit <= 0xD7A3) counts.hangul += LETTERS_OF_A_HAN_CHARACTER;
    else if (unit >= 0x400 && unit <= 0x4FF) counts.cyrillic++;
  }
  const { han, latin, kana, hangul, cyrillic } = counts;
  const most = Math.max(han + kana, latin, hangul, cyrillic);
  if (most === 0) return "other";
  if (most === han + kana) return kana > 0.2 * han ? "Japanese" : "Chinese";
  return most === latin ? "English" : most === hangul ? "Korean" : "Russian";
}

function isLatin(unit: number): boolean {
  return (unit >= 0x41 && unit <= 0x5A) || (unit >= 0x61 && unit <= 0x7A) || unit >= 0xC0;
}
