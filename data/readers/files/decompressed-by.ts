import { type Duplex, pipeline } from "node:stream";

/** What a decompressor of the platform makes of bytes. @throws Error for what it cannot decompress */
export async function* decompressedBy(
  decompressor: Duplex,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let failure: Error | null | undefined;
  const decompressed = pipeline(bytes, decompressor, (error) => failure = error);
  try {
    yield* decompressed;
  } catch (error) {
    throw failure ?? error;
  }
}
