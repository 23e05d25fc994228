import { Decompress } from "fzstd";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../../../kernels/runtime/user-error.ts";
import { messageOf } from "../../files/error-message.ts";
import { readError } from "../../files/file-errors.ts";

/** A file that is not of the kind that its name says, or that ends too early. */
export class DamagedFile extends UserError {
  override name = "DamagedFile";
}

/** The path without `.gz` or `.zst`. */
export function withoutCompression(path: string): string {
  return path.replace(/\.(?:gz|zst)$/, "");
}

/** Called with the number of bytes of a file that were read. */
export type OnRead = (bytes: number) => void;

/**
 * The bytes of a file, decompressed if its name ends in `.gz` or `.zst`, a quarter of a megabyte at
 * a time.
 *
 * @param onRead called with the number of bytes before they are decompressed
 * @throws UserError if it cannot be read, {@linkcode DamagedFile} if it cannot be decompressed
 */
export async function* readBytes(
  path: string,
  onRead: OnRead = () => {},
): AsyncGenerator<Uint8Array> {
  const file = rawBytes(path, onRead);
  try {
    if (path.endsWith(".gz")) yield* gunzipped(file);
    else if (path.endsWith(".zst")) yield* decompressed(file);
    else yield* file;
  } catch (error) {
    if (error instanceof Error && "syscall" in error) throw readError(error, path);
    const reason = messageOf(error);
    throw new DamagedFile(`${path} is damaged or cut short (${reason}): fetch it again`);
  }
}

const CHUNK = 1 << 18;

async function* rawBytes(path: string, onRead: OnRead): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) {
    onRead(chunk.length);
    yield chunk;
  }
}

async function* gunzipped(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let failure: Error | null | undefined;
  const bytes = pipeline(file, createGunzip({ chunkSize: CHUNK }), (error) => failure = error);
  try {
    yield* bytes;
  } catch (error) {
    throw failure ?? error;
  }
}

/**
 * Decompresses Zstandard. Unlike this decompressor, the platform's does not report a file that is
 * cut short.
 */
async function* decompressed(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const decompressor = new Decompress((chunk) => ready.push(chunk));
  let size = 0;
  for await (const chunk of file) {
    size += chunk.length;
    decompressor.push(chunk);
    yield* ready;
    ready = [];
  }
  if (size === 0) throw new Error("it is empty");
  decompressor.push(new Uint8Array(0), true);
  yield* ready;
}
