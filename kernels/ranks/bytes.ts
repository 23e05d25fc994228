/** All parts, one after the other. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Writes a text with its length before it. */
export function writeSizedText(room: Uint8Array<ArrayBuffer>, text: string): void {
  const { written } = new TextEncoder().encodeInto(text, room.subarray(4));
  new DataView(room.buffer, room.byteOffset).setInt32(0, written, true);
}

/** What {@linkcode writeSizedText} has written. */
export function readSizedText(room: Uint8Array<ArrayBuffer>): string {
  const length = new DataView(room.buffer, room.byteOffset).getInt32(0, true);
  return new TextDecoder().decode(room.slice(4, 4 + length));
}
