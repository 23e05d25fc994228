import { crc32 } from "node:zlib";
import { isRecord } from "./is-record.ts";
import { readError } from "./file-errors.ts";

/** What tells whether a file still holds what was written into it; JSON. */
export interface FileSum {
  /** Size of the file. */
  readonly bytes: number;
  /** CRC-32 of its content, in 8 hexadecimal digits. */
  readonly crc32: string;
}

/**
 * Sums up bytes as they pass. CRC-32 finds every change of up to 32 bits in a row, and any other but
 * for one in 4 billion. It guards against damage, not against forgery, and costs little: several GB
 * a second, where SHA-256 has some hundred MB.
 */
export class Checksum {
  #bytes = 0;
  #crc = 0;

  /** Number of bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The sum of the bytes so far. */
  get sum(): FileSum {
    return { bytes: this.#bytes, crc32: this.#crc.toString(16).padStart(8, "0") };
  }

  add(bytes: Uint8Array): void {
    this.#crc = crc32(bytes, this.#crc);
    this.#bytes += bytes.length;
  }
}

/** The sum of bytes that are in memory. */
export function sumOf(bytes: Uint8Array): FileSum {
  const checksum = new Checksum();
  checksum.add(bytes);
  return checksum.sum;
}

/** Reads a file and sums it up. @throws UserError if it cannot be read */
export async function fileSum(path: string): Promise<FileSum> {
  try {
    using file = await Deno.open(path);
    const checksum = new Checksum();
    const buffer = new Uint8Array(1 << 20);
    for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
      checksum.add(buffer.subarray(0, read));
    }
    return checksum.sum;
  } catch (error) {
    throw readError(error, path);
  }
}

/** Whether a file is there and as it was when it was summed up. */
export async function isAsWritten(path: string, sum: FileSum): Promise<boolean> {
  const { size } = await Deno.stat(path).catch(() => ({ size: undefined }));
  return size === sum.bytes && isSameSum(await fileSum(path), sum);
}

export function isSameSum(a: FileSum, b: FileSum): boolean {
  return a.bytes === b.bytes && a.crc32 === b.crc32;
}

/** Such as `4,312 bytes with CRC-32 0badcafe`. */
export function sumInWords({ bytes, crc32 }: FileSum): string {
  return `${bytes.toLocaleString("en")} bytes with CRC-32 ${crc32}`;
}

/** Whether a value of JSON is a sum. */
export function isFileSum(value: unknown): value is FileSum {
  return isRecord(value) && Number.isSafeInteger(value.bytes) && typeof value.crc32 === "string";
}
