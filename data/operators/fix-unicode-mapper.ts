import { UserError } from "../../kernels/runtime/user-error.ts";
import { decodeEntities } from "./fix-unicode/entities.ts";
import { fixC1Controls, fixMojibake, SUSPICIOUS } from "./fix-unicode/mojibake.ts";
import { defineOperator, mapper } from "./operator.ts";
import { codePointLength, isHighSurrogate } from "./unicode.ts";

interface Wanted {
  form: NormalizationForm;
  keepPunctuation: boolean;
}

type NormalizationForm = "NFC" | "NFKC" | "NFD" | "NFKD";

/**
 * Repairs text as `ftfy.fix_text` of ftfy 6.3.1 does: HTML entities, mojibake, C1 control
 * characters, ligatures, full-width and half-width forms, curly quotes, line breaks, lone
 * surrogates, terminal escapes, control characters and Unicode normalization. Chinese punctuation
 * has full-width forms, so that `，！（` become `,!(`, and curly quotes: `keep_punctuation` (not
 * Data-Juicer's) keeps both.
 */
export const fixUnicodeMapper = defineOperator(
  "fix_unicode_mapper",
  { normalization: null, keep_punctuation: false },
  ({ normalization, keep_punctuation }) => {
    const form = (normalization || "NFC").toUpperCase();
    if (!isNormalizationForm(form)) {
      throw new UserError(
        `fix_unicode_mapper.normalization is "${normalization}": it must be one of NFC, NFKC, ` +
          `NFD and NFKD`,
      );
    }
    const wanted = { form, keepPunctuation: keep_punctuation };
    return mapper((text) => fixText(text, wanted));
  },
);

function isNormalizationForm(form: string): form is NormalizationForm {
  return ["NFC", "NFKC", "NFD", "NFKD"].includes(form);
}

/* The repairs that a character may call for. */
const ENTITY = 1;
const MOJIBAKE = 2;
const LIGATURE = 4;
const WIDTH = 8;
const QUOTE = 16;
const LINE_BREAK = 32;
const SURROGATE = 64;
const ESCAPE = 128;
const CONTROL = 256;
const NORMALIZATION = 512;

const LIGATURES: Record<string, string> = {
  "Ĳ": "IJ",
  "ĳ": "ij",
  "ŉ": "ʼn",
  "Ǳ": "DZ",
  "ǲ": "Dz",
  "ǳ": "dz",
  "Ǆ": "DŽ",
  "ǅ": "Dž",
  "ǆ": "dž",
  "Ǉ": "LJ",
  "ǈ": "Lj",
  "ǉ": "lj",
  "Ǌ": "NJ",
  "ǋ": "Nj",
  "ǌ": "nj",
  "ﬀ": "ff",
  "ﬁ": "fi",
  "ﬂ": "fl",
  "ﬃ": "ffi",
  "ﬄ": "ffl",
  "ﬅ": "ſt",
  "ﬆ": "st",
};

const LIGATURE_CLASS = new RegExp(`[${Object.keys(LIGATURES).join("")}]`, "g");
const WIDTH_CLASS = /[\u3000\uFF01-\uFFEF]/g;
/** The same repairs without those that change Chinese punctuation. */
const WIDTH_BUT_PUNCTUATION =
  /[\u3000\uFF02-\uFF07\uFF0A\uFF0B\uFF0D-\uFF19\uFF1C-\uFF1E\uFF20-\uFF5D\uFF5F-\uFFEF]/g;
const DOUBLE_QUOTES = /[\u201C-\u201F]/g;
const SINGLE_QUOTES = /[\u02BC\u2018-\u201B]/g;
const LINE_BREAKS = /\r\n|[\r\u2028\u2029\x85]/g;
// deno-lint-ignore no-control-regex
const TERMINAL_ESCAPES = /\x1B\[[\p{Nd};]*[a-zA-Z]/gu;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x08\x0B\x0E-\x1F\x7F\u206A-\u206F\uFEFF\uFFF9-\uFFFC]/g;

/**
 * Characters that no normalization form joins with others or takes apart: ASCII and the bulk of a
 * Chinese text.
 */
const INERT = /[\0-\x7F\u2013\u2014\u2018-\u201D\u3001-\u3029\u4E00-\u9FFF\uFF01-\uFFEF]/;

/** The repairs that each UTF-16 unit may need. */
const repairsOfUnit = new Uint16Array(0x10000);
for (
  const [repair, pattern] of [
    [ENTITY, /&/],
    [MOJIBAKE, new RegExp(`[${SUSPICIOUS}]`)],
    [LIGATURE, LIGATURE_CLASS],
    [WIDTH, WIDTH_CLASS],
    [QUOTE, DOUBLE_QUOTES],
    [QUOTE, SINGLE_QUOTES],
    [LINE_BREAK, /[\r\u2028\u2029\x85]/],
    [SURROGATE, /[\uD800-\uDFFF]/],
    [ESCAPE, new RegExp("\x1B")],
    [CONTROL, CONTROLS],
    [NORMALIZATION, new RegExp(`[^${INERT.source.slice(1, -1)}]`)],
  ] as const
) {
  for (let unit = 0; unit < repairsOfUnit.length; unit++) {
    if (String.fromCharCode(unit).search(pattern) >= 0) repairsOfUnit[unit] |= repair;
  }
}

/** All repairs that the text may need; 0 if it stays as it is. */
function repairsOf(text: string): number {
  let repairs = 0;
  for (let i = 0; i < text.length; i++) repairs |= repairsOfUnit[text.charCodeAt(i)];
  return repairs;
}

/** The longest part of a line, in code points, that is repaired at once. */
const LONGEST_SEGMENT = 1_000_000;

function fixText(text: string, wanted: Wanted): string {
  const fixed = fixPlainText(text, wanted);
  if (fixed !== undefined) return fixed;
  // Once there is a tag, the document is HTML, whose entities are not text's.
  let entities = true;
  let result = "";
  for (const segment of segmentsOf(text)) {
    if (segment.includes("<")) entities = false;
    result += fixSegment(segment, entities, wanted);
  }
  return result;
}

/** The whole text repaired at once; undefined if it needs repairs that tell its lines apart. */
function fixPlainText(text: string, wanted: Wanted): string | undefined {
  if (text.length > LONGEST_SEGMENT) return undefined;
  let fixed = text;
  while (true) {
    const repairs = repairsOf(fixed);
    if (repairs & (ENTITY | MOJIBAKE)) return undefined;
    const before = fixed;
    fixed = repairCharacters(fixed, repairs, wanted);
    if (fixed === before) return fixed;
  }
}

function* segmentsOf(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const lineBreak = text.indexOf("\n", start);
    let end = lineBreak < 0 ? text.length : lineBreak + 1;
    if (end - start > LONGEST_SEGMENT) end = limitSegment(text, start, end);
    yield text.slice(start, end);
    start = end;
  }
}

/** Where a segment from `start` ends so that it has no more code points than it may have. */
function limitSegment(text: string, start: number, end: number): number {
  let at = Math.min(start + LONGEST_SEGMENT, end);
  while (at < end) {
    const left = LONGEST_SEGMENT - codePointLength(text.slice(start, at));
    if (left === 0) break;
    at = Math.min(at + left, end);
    if (at < end && isHighSurrogate(text.charCodeAt(at - 1))) at++;
  }
  return at;
}

function fixSegment(segment: string, entities: boolean, wanted: Wanted): string {
  let text = segment;
  while (true) {
    const before = text;
    if (entities && text.includes("&")) text = decodeEntities(text);
    if (repairsOf(text) & MOJIBAKE) text = fixC1Controls(fixMojibake(text));
    text = repairCharacters(text, repairsOf(text), wanted);
    if (text === before) return text;
  }
}

/** The repairs that look at one character or a few, in ftfy's order. */
function repairCharacters(text: string, repairs: number, wanted: Wanted): string {
  let fixed = text;
  if (repairs & LIGATURE) {
    fixed = fixed.replace(LIGATURE_CLASS, (character) => LIGATURES[character]);
  }
  if (repairs & WIDTH) {
    fixed = fixed.replace(
      wanted.keepPunctuation ? WIDTH_BUT_PUNCTUATION : WIDTH_CLASS,
      (character) => character === "\u3000" ? " " : character.normalize("NFKC"),
    );
  }
  if (repairs & QUOTE && !wanted.keepPunctuation) {
    fixed = fixed.replace(DOUBLE_QUOTES, '"').replace(SINGLE_QUOTES, "'");
  }
  if (repairs & LINE_BREAK) fixed = fixed.replace(LINE_BREAKS, "\n");
  if (repairs & SURROGATE) fixed = fixed.toWellFormed();
  if (repairs & ESCAPE) fixed = fixed.replace(TERMINAL_ESCAPES, "");
  if (repairs & CONTROL) fixed = fixed.replace(CONTROLS, "");
  return repairs & (NORMALIZATION | WIDTH | LIGATURE) ? fixed.normalize(wanted.form) : fixed;
}
