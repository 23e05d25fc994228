import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { UserError } from "../../../kernels/runtime/user-error.ts";
import { messageOf } from "../../text/error-message.ts";
import { readError } from "../../files/file-errors.ts";
import { containerOf } from "./container.ts";
import { decompressedBy } from "./decompressed-by.ts";
import { unzstd } from "./zstd.ts";

/** A file that is not of the kind that its name says, or that ends too early. */
export class DamagedFile extends UserError {
  override name = "DamagedFile";
}

/** The path in lower case, without `.gz` or `.zst`. */
export function withoutCompression(path: string): string {
  return path.toLowerCase().replace(/\.(?:gz|zst)$/, "");
}

/** Called with the number of bytes of a file that were read. */
export type OnRead = (bytes: number) => void;

/**
 * The bytes of a file, decompressed if its name ends in `.gz` or `.zst`, a quarter of a megabyte at
 * a time. The checksums of both formats are compared.
 *
 * @param onRead called with the number of bytes before they are decompressed
 * @throws UserError if it cannot be read or is an archive, {@linkcode DamagedFile} if it cannot be
 *   decompressed, or if that gives implausibly much
 */
export async function* readBytes(
  path: string,
  onRead: OnRead = () => {},
): AsyncGenerator<Uint8Array> {
  let [size, length] = [0, 0];
  const file = rawBytes(path, (bytes) => {
    size += bytes;
    onRead(bytes);
  });
  try {
    for await (const chunk of decompressed(path, file)) {
      if (length === 0) refuseContainer(path, chunk);
      length += chunk.length;
      if (isImplausible(length, size)) {
        throw new DamagedFile(
          `${path} unpacks to more than ${MOST_RATIO} times its size, which no text does`,
        );
      }
      yield chunk;
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (error instanceof Error && "syscall" in error) throw readError(error, path);
    const reason = messageOf(error);
    throw new DamagedFile(`${path} is damaged or cut short (${reason}): fetch it again`);
  }
}

const CHUNK = 1 << 18;

/** Text is seldom compressed to a tenth: so much more is made to fill a disk, or memory. */
export const MOST_RATIO = 200;
/** Up to so many bytes, the ratio is not looked at: a small file may well repeat one line. */
const ALWAYS_ALLOWED = 1 << 26;

/** Whether no text of `length` bytes would be compressed to so few. */
export function isImplausible(length: number, compressed: number): boolean {
  return length > ALWAYS_ALLOWED && length > MOST_RATIO * compressed;
}

async function* rawBytes(path: string, onRead: OnRead): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) {
    onRead(chunk.length);
    yield chunk;
  }
}

function decompressed(
  path: string,
  file: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  const ending = path.toLowerCase();
  if (ending.endsWith(".gz")) return decompressedBy(createGunzip({ chunkSize: CHUNK }), file);
  return ending.endsWith(".zst") ? unzstd(file) : file;
}

/** What is in an archive or compressed otherwise is not what it would be read as. */
function refuseContainer(path: string, start: Uint8Array): void {
  const container = containerOf(start);
  if (container === undefined) return;
  throw new UserError(`${path} is ${container}: unpack it, and give the files that were in it`);
}
