/** A SentencePiece model of the unigram type, whose pieces have these scores. */
export function sentencePieceModel(scores: Record<string, number>): Uint8Array {
  const bytes = (field: number, content: ArrayLike<number>) => [
    ...[field << 3 | 2, content.length],
    ...Array.from(content),
  ];
  const text = (field: number, content: string) => bytes(field, new TextEncoder().encode(content));
  const piece = (content: string, score: number, type: number) => [
    ...text(1, content),
    ...[2 << 3 | 5, ...new Uint8Array(Float32Array.of(score).buffer)],
    ...[3 << 3, type],
  ];
  const [NORMAL, UNKNOWN, CONTROL] = [1, 2, 3];
  const pieces = [
    ...[piece("<unk>", 0, UNKNOWN), piece("<s>", 0, CONTROL), piece("</s>", 0, CONTROL)],
    ...Object.entries(scores).map(([content, score]) => piece(content, score, NORMAL)),
  ];
  const normalizer = text(1, "identity");
  return Uint8Array.from([...pieces.flatMap((piece) => bytes(1, piece)), ...bytes(3, normalizer)]);
}
