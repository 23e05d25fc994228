/**
 * The single-byte encodings that text is mistaken for, as ftfy has them. A "binary string" here is
 * one whose characters U+0000 to U+00FF stand for bytes.
 */

/** A single-byte encoding whose lower half is ASCII. */
export class CodePage {
  readonly name: string;
  /** The characters of bytes 80 to FF. */
  readonly upperHalf: string;
  /**
   * Whether unassigned bytes stand for the code points of the same number, and byte 1A for U+FFFD
   * (and U+001A for nothing).
   */
  readonly sloppy: boolean;
  readonly #bytes = new Map<string, string>();

  constructor(name: string, upperHalf: string, sloppy: boolean) {
    this.name = name;
    this.upperHalf = upperHalf;
    this.sloppy = sloppy;
    for (let byte = 0; byte < 0x80; byte++) {
      const character = String.fromCharCode(byte);
      this.#bytes.set(sloppy && byte === 0x1A ? "\uFFFD" : character, character);
    }
    for (let i = 0; i < 0x80; i++) this.#bytes.set(upperHalf[i], String.fromCharCode(0x80 + i));
  }

  /** The text as a binary string, or undefined if the encoding lacks one of its characters. */
  encode(text: string): string | undefined {
    let binary = "";
    for (const character of text) {
      const byte = this.#bytes.get(character);
      if (byte === undefined) return undefined;
      binary += byte;
    }
    return binary;
  }

  /** The characters of the bytes from `first` to `last`, 80 or above. */
  characters(first: number, last: number): string {
    return this.upperHalf.slice(first - 0x80, last - 0x80 + 1);
  }
}

const CP437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
  "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xA0";

/** The bytes 80 to FF as the platform decodes them; U+FFFD where it has nothing. */
function platformUpperHalf(label: string): string {
  return new TextDecoder(label).decode(Uint8Array.from({ length: 0x80 }, (_, i) => 0x80 + i));
}

function sloppy(label: string): CodePage {
  const upperHalf = Array.from(
    platformUpperHalf(label),
    (character, i) => character === "\uFFFD" ? String.fromCharCode(0x80 + i) : character,
  );
  return new CodePage(label, upperHalf.join(""), true);
}

const latin1UpperHalf = String.fromCharCode(...Array.from({ length: 0x80 }, (_, i) => 0x80 + i));

const LATIN_1 = new CodePage("latin-1", latin1UpperHalf, false);
export const WINDOWS_1252 = sloppy("windows-1252");

/** The encodings whose letters show that a run of characters is mistaken UTF-8. */
export const DETECTED_CODE_PAGES = [
  LATIN_1,
  WINDOWS_1252,
  sloppy("windows-1251"),
  sloppy("windows-1250"),
  sloppy("windows-1253"),
  sloppy("windows-1254"),
  sloppy("windows-1257"),
];

/** All encodings that are tried, in that order. */
export const CODE_PAGES = [
  ...DETECTED_CODE_PAGES,
  new CodePage("iso-8859-2", platformUpperHalf("iso-8859-2"), false),
  new CodePage("macroman", platformUpperHalf("macintosh"), false),
  new CodePage("cp437", CP437, false),
];

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a binary string of UTF-8; undefined if it is not UTF-8. */
export function textOfUtf8(binary: string): string | undefined {
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
