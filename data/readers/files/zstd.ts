import { constants, createZstdDecompress } from "node:zlib";
import { decompressedBy } from "./decompressed-by.ts";

const FRAME = 0xFD2FB528;
/** The first of 16 numbers that begin a frame of which nothing is meant to be read. */
const SKIPPABLE = 0x184D2A50;

const RUN_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** Published corpora are compressed with `--long=31`, which the platform refuses unless told. */
const ANY_WINDOW = { params: { [constants.ZSTD_d_windowLogMax]: 31 } };

/**
 * Decompresses Zstandard (RFC 8878). The platform's decompressor compares the content with its
 * checksum, but knows one frame only and does not tell when it is cut short: so frames are cut here.
 *
 * @throws Error for content that its checksum does not fit, and where a frame is damaged or cut short
 */
export async function* unzstd(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = new Input(file);
  if (await input.isAtEnd()) throw new Error("it is empty");
  while (!await input.isAtEnd()) {
    const start = await input.take(4);
    const magic = viewOf(start).getUint32(0, true);
    if (magic >>> 4 === SKIPPABLE >>> 4) {
      const size = viewOf(await input.take(4)).getUint32(0, true);
      for await (const _ of input.pieces(size));
    } else if (magic === FRAME) {
      yield* decompressedBy(createZstdDecompress(ANY_WINDOW), frame(start, input));
    } else throw new Error("there is no Zstandard frame where one should begin");
  }
}

/** A frame's bytes, from the start that was read already to its last block or its checksum. */
async function* frame(start: Uint8Array, input: Input): AsyncGenerator<Uint8Array> {
  yield start;
  const descriptor = await input.take(1);
  yield descriptor;
  const isSingleSegment = (descriptor[0] & 0x20) !== 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor[0] >> 6];
  const dictionaryBytes = [0, 1, 2, 4][descriptor[0] & 3];
  yield await input.take((isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes);
  for (let isLast = false; !isLast;) {
    const header = await input.take(3);
    yield header;
    const bits = header[0] | header[1] << 8 | header[2] << 16;
    const type = bits >> 1 & 3;
    if (type === RESERVED_BLOCK) throw new Error("a block is of no known type");
    yield* input.pieces(type === RUN_BLOCK ? 1 : bits >> 3);
    isLast = (bits & 1) === 1;
  }
  const hasChecksum = (descriptor[0] & 4) !== 0;
  if (hasChecksum) yield await input.take(4);
}

/** The bytes of a file, as many at a time as are asked for. */
class Input {
  readonly #file: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(file: AsyncIterable<Uint8Array>) {
    this.#file = file[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#file.next();
      if (done) return true;
      this.#rest = value;
    }
    return false;
  }

  /** The next bytes in one piece. @throws Error if the file has fewer */
  async take(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count);
    let length = 0;
    for await (const piece of this.pieces(count)) {
      taken.set(piece, length);
      length += piece.length;
    }
    return taken;
  }

  /** The next bytes as they lie. @throws Error if the file has fewer */
  async *pieces(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      if (await this.isAtEnd()) throw new Error("it ends within a frame");
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
