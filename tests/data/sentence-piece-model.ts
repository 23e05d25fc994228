/** Kinds of pieces, as `sentencepiece_model.proto` numbers them. */
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

/** A field of a message that holds bytes. */
function bytes(field: number, content: ArrayLike<number>): number[] {
  return [field << 3 | 2, ...varint(content.length), ...Array.from(content)];
}

function text(field: number, content: string): number[] {
  return bytes(field, new TextEncoder().encode(content));
}

/** A field that holds a number. */
function number(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...varint(value >> 7)];
}

function piece(content: string, score: number, type: number): number[] {
  return bytes(1, [
    ...text(1, content),
    ...[2 << 3 | 5, ...new Uint8Array(Float32Array.of(score).buffer)],
    ...number(3, type),
  ]);
}

const MARKS = [piece("<unk>", 0, UNKNOWN), piece("<s>", 0, CONTROL), piece("</s>", 0, CONTROL)];

/** A SentencePiece model of the unigram type, whose pieces have these scores. */
export function sentencePieceModel(scores: Record<string, number>): Uint8Array {
  const pieces = Object.entries(scores).map(([content, score]) => piece(content, score, NORMAL));
  return Uint8Array.from([...MARKS, ...pieces, bytes(3, text(1, "identity"))].flat());
}

/**
 * A SentencePiece BPE with byte fallback, as Llama's `tokenizer.model` is.
 *
 * @param pieces the pieces that are learned, the best first
 * @param normalizer fields of its normalizer_spec that differ from Llama's
 */
export function bytePairPieceModel(
  pieces: readonly string[],
  { addsSpace = true, removesSpaces = false } = {},
): Uint8Array {
  const bytePieces = Array.from(
    { length: 256 },
    (_, byte) => piece(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, 0, BYTE),
  );
  const [trainer, normalizer] = [2, 3];
  return Uint8Array.from([
    ...MARKS,
    ...bytePieces,
    ...pieces.map((content, i) => piece(content, -i, NORMAL)),
    bytes(trainer, [...number(3, 2), ...number(35, 1)]),
    bytes(normalizer, [
      ...text(1, "identity"),
      ...number(3, Number(addsSpace)),
      ...number(4, Number(removesSpaces)),
    ]),
  ].flat());
}
