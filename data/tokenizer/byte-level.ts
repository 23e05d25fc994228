/**
 * The alphabet of byte-level BPE (GPT-2): every byte is written as one printable character, so that
 * a vocabulary of texts can hold tokens that are no whole characters. Printable Latin-1 bytes stand
 * for themselves; the others are the characters from U+0100 on.
 */
const CHARACTER_OF_BYTE = buildAlphabet();
const BYTE_OF_CHARACTER = new Map(CHARACTER_OF_BYTE.map((character, byte) => [character, byte]));

/** The 256 one-byte tokens, by byte. */
export const BYTE_TOKENS: readonly string[] = CHARACTER_OF_BYTE;

/** The 256 tokens by which SentencePiece writes bytes of characters that have no token, by byte. */
export const FALLBACK_TOKENS: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

/** The bytes that a byte-level token stands for; undefined if it is not written in the alphabet. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = Array.from(token, (character) => BYTE_OF_CHARACTER.get(character));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}

function buildAlphabet(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++),
  );
}
