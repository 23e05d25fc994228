/**
 * Mojibake: UTF-8 that was decoded as a single-byte encoding, found and undone as ftfy 6.3.1 does
 * it (Robyn Speer, https://ftfy.readthedocs.io, Apache-2.0; the categories of characters are
 * ftfy's).
 */
import {
  CODE_PAGES,
  type CodePage,
  DETECTED_CODE_PAGES,
  textOfUtf8,
  WINDOWS_1252,
} from "./code-pages.ts";
import { STRIPPED } from "../unicode.ts";

/* Characters that are frequent in mojibake, by their usual role, as members of classes. */
const C1 = "\\x80-\\x9F";
const COMMON = "\\xA0\\xAD´·–—―’…";
const BAD = "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\\uFFFD";
const LAW = "§¶";
const CURRENCY = "¢£¥₧€";
const START = "¡©«¿\\u0384\\u0385‘‚“„•‹";
const END = "®»˝”›™";
const NUMERIC = "±²³µ¹¼½¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥";
const KAOMOJI = "°ÒÓÔÕÖÙÚÛÜòóôõöøùúûüŌŐŪŲ";
const UPPER_ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ";
const LOWER_ACCENTED = "ßàáâãäåæçèéêëìíîïðñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ";
const UPPER_COMMON = "Þ\\u0386\\u0388-\\u038A\\u038C\\u038E\\u038F\\u0391-\\u03AB\\u0401-\\u042F";
const LOWER_COMMON = "\\u03AC-\\u03C9\\u0430-\\u045F";
const BOX = "│┌┐┘├┤┬┼═║╒╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡╢╣╤╥╦╧╨╩╪╫╬▀▄█▌▐░▒▓";

/**
 * Members of a class without which no text is bad: every adjacency below has one, since `common`,
 * `start` and `end` punctuation alone make none.
 */
export const SUSPICIOUS = C1 + BAD + LAW + CURRENCY + NUMERIC + KAOMOJI + UPPER_ACCENTED +
  LOWER_ACCENTED + UPPER_COMMON + LOWER_COMMON + BOX;

/** Adjacencies that are all but impossible in text that was decoded rightly. */
const BADNESS = new RegExp(
  [
    `[${C1}]`,
    `[${BAD}${LOWER_ACCENTED}${UPPER_ACCENTED}${BOX}${START}${END}${CURRENCY}${NUMERIC}${LAW}][${BAD}]`,
    `[a-zA-Z][${LOWER_COMMON}${UPPER_COMMON}][${BAD}]`,
    `[${BAD}][${LOWER_ACCENTED}${UPPER_ACCENTED}${BOX}${START}${END}${CURRENCY}${NUMERIC}${LAW}]`,
    `[${LOWER_ACCENTED}${LOWER_COMMON}${BOX}${END}${CURRENCY}${NUMERIC}][${UPPER_ACCENTED}]`,
    `[${BOX}${END}${CURRENCY}${NUMERIC}][${LOWER_ACCENTED}]`,
    `[${LOWER_ACCENTED}${BOX}${END}][${CURRENCY}]`,
    `[${STRIPPED}][${UPPER_ACCENTED}][${CURRENCY}]`,
    `[${UPPER_ACCENTED}${BOX}][${NUMERIC}${LAW}]`,
    `[${LOWER_ACCENTED}${UPPER_ACCENTED}${BOX}${CURRENCY}${END}][${START}][${NUMERIC}]`,
    `[${LOWER_ACCENTED}${UPPER_ACCENTED}${CURRENCY}${NUMERIC}${BOX}${LAW}][${END}][${START}]`,
    `[${CURRENCY}${NUMERIC}${BOX}][${START}]`,
    `[a-z][${UPPER_ACCENTED}][${START}${CURRENCY}]`,
    `[${BOX}][${KAOMOJI}]`,
    `[${LOWER_ACCENTED}${UPPER_ACCENTED}${CURRENCY}${NUMERIC}${START}${END}${LAW}][${BOX}]`,
    `[${BOX}][${END}]`,
    `[${LOWER_ACCENTED}${UPPER_ACCENTED}][${START}${END}][\\p{L}\\p{N}_]`,
    `[Œœ][^A-Za-z]`,
    `[${UPPER_ACCENTED}]°`,
    `[ÂÃÎÐ][€œŠš¢£Ÿž\\xA0\\xAD®©°·»${START}${END}–—´]`,
    `×[²³]`,
    `[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${START}ŸŠ®°µ»]` +
    `[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${START}ŸŠ®°µ»]`,
    `à[²µ¹¼½¾]`,
    `√[±∂†≠®™´≤≥¥µø]`,
    `≈[°¢]`,
    `‚Ä[ìîïòôúùû†°¢π]`,
    `‚[âó][àä°ê]`,
    `вЂ`,
    `[ВГРС][${C1}${BAD}${START}${END}${CURRENCY}°µ][ВГРС]`,
    `ГўВЂВ.[A-Za-z ]`,
    `Ã[\\xA0¡]`,
    `[a-z][${STRIPPED}]?[ÃÂ] `,
    `^[ÃÂ] `,
    `[a-z.,?!${END}]Â[ ${START}${END}]`,
    `β€[™\\xA0Ά\\xAD®°]`,
    `[ΒΓΞΟ][${C1}${BAD}${START}${END}${CURRENCY}°][ΒΓΞΟ]`,
    `ā€`,
  ].join("|"),
  "u",
);

function isBad(text: string): boolean {
  return BADNESS.test(text);
}

/** A class of the characters that bytes of a range stand for in any of the detected encodings. */
function classOfBytes(...ranges: [first: number, last: number][]): string {
  const characters = new Set<string>();
  for (const page of DETECTED_CODE_PAGES) {
    for (const [first, last] of ranges) {
      for (const character of page.characters(first, last)) characters.add(character);
    }
  }
  return [...characters].join("");
}

const CONTINUATION = classOfBytes([0x80, 0xBF]);
const STRICT_CONTINUATION = CONTINUATION.replace(/[–—―‘’‚“”„•…]/g, "");

/** Runs of characters that look like UTF-8 decoded as one of the detected encodings. */
const UTF8_RUN = new RegExp(
  `(?<![${STRICT_CONTINUATION}])(?:` + [
    `[${classOfBytes([0xC2, 0xDF])}][ ${CONTINUATION}]`,
    `[${classOfBytes([0xE0, 0xEF])}][ ${CONTINUATION}]{2}`,
    `[${classOfBytes([0xF0, 0xF0], [0xF3, 0xF3])}][ ${CONTINUATION}]{3}`,
  ].join("|") + `)+`,
  "gu",
);

/* On binary strings: UTF-8 in which a byte A0 became a space, and UTF-8 that lost bytes to 1A. */
const A_GRAVE_WORD = /\xC3 (?! |quele|quela|quilo|s )/g;
const SPACE_FOR_A0 = new RegExp(
  [
    "[\\xC2\\xC3\\xC5\\xCE\\xD0\\xD9] ",
    "[\\xE2\\xE3] [\\x80-\\x84\\x86-\\x9F\\xA1-\\xBF]",
    "[\\xE0-\\xE3][\\x80-\\x84\\x86-\\x9F\\xA1-\\xBF] ",
    "\\xF0 [\\x80-\\xBF][\\x80-\\xBF]",
    "\\xF0[\\x80-\\xBF] [\\x80-\\xBF]",
    "\\xF0[\\x80-\\xBF][\\x80-\\xBF] ",
  ].join("|"),
  "g",
);
const LOSSY = new RegExp(
  [
    "[\\xC2-\\xDF]\\x1A",
    "[\\xC2\\xC3]\\?",
    "\\xED[\\xA0-\\xAF][\\x1A?]\\xED[\\xB0-\\xBF][\\x1A?\\x80-\\xBF]",
    "\\xED[\\xA0-\\xAF][\\x1A?\\x80-\\xBF]\\xED[\\xB0-\\xBF][\\x1A?]",
    "[\\xE0-\\xEF][\\x1A?][\\x1A\\x80-\\xBF]",
    "[\\xE0-\\xEF][\\x1A\\x80-\\xBF][\\x1A?]",
    "[\\xF0-\\xF4][\\x1A?][\\x1A\\x80-\\xBF][\\x1A\\x80-\\xBF]",
    "[\\xF0-\\xF4][\\x1A\\x80-\\xBF][\\x1A?][\\x1A\\x80-\\xBF]",
    "[\\xF0-\\xF4][\\x1A\\x80-\\xBF][\\x1A\\x80-\\xBF][\\x1A?]",
    "\\x1A",
  ].join("|"),
  "g",
);
const REPLACEMENT_CHARACTER = "\xEF\xBF\xBD";
const SURROGATES_IN_UTF8 = /\xED([\xA0-\xAF])([\x80-\xBF])\xED([\xB0-\xBF])([\x80-\xBF])/g;

/** Undoes mojibake, all layers of it; other text stays as it is. */
export function fixMojibake(text: string): string {
  let fixed = text;
  while (true) {
    const next = undoOnce(fixed);
    if (next === fixed) return fixed;
    fixed = next;
  }
}

function undoOnce(text: string): string {
  if (!isBad(text)) return text;
  for (const page of CODE_PAGES) {
    const fixed = decodedAsUtf8(text, page);
    if (fixed !== undefined) return fixed;
  }
  const fixed = text.replace(
    UTF8_RUN,
    (run) => run.length < text.length && isBad(run) ? fixMojibake(run) : run,
  );
  return fixed === text ? fixC1Controls(text) : fixed;
}

/** The text, if it is UTF-8 that was decoded by this code page; else undefined. */
function decodedAsUtf8(text: string, page: CodePage): string | undefined {
  let binary = page.encode(text);
  if (binary === undefined) return undefined;
  if (page.name !== "macroman" && binary.search(SPACE_FOR_A0) >= 0) {
    binary = binary.replace(A_GRAVE_WORD, "\xC3\xA0 ")
      .replace(SPACE_FOR_A0, (sequence) => sequence.replace(" ", "\xA0"));
  }
  if (page.sloppy) binary = binary.replace(LOSSY, REPLACEMENT_CHARACTER);
  return textOfUtf8(
    binary.replace(SURROGATES_IN_UTF8, joinSurrogates).replaceAll("\xC0\x80", "\0"),
  );
}

/** Two surrogates, each written as UTF-8 (CESU-8), as the UTF-8 of the one code point they mean. */
function joinSurrogates(_: string, ...units: string[]): string {
  const [high1, high2, low1, low2] = units.slice(0, 4).map((byte) => byte.charCodeAt(0) & 0x3F);
  const point = 0x10000 + (((high1 & 0x0F) << 16) | (high2 << 10) | ((low1 & 0x0F) << 6) | low2);
  return String.fromCharCode(...new TextEncoder().encode(String.fromCodePoint(point)));
}

/** C1 control characters as the windows-1252 characters of the same bytes. */
export function fixC1Controls(text: string): string {
  return text.replace(
    /[\x80-\x9F]/g,
    (control) => WINDOWS_1252.upperHalf[control.charCodeAt(0) - 0x80],
  );
}
