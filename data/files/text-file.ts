import { UserError } from "../../kernels/runtime/user-error.ts";
import { isMissing, readError } from "./file-errors.ts";

/**
 * The text of a file, without a byte order mark.
 *
 * @throws UserError if it cannot be read or is not UTF-8
 */
export async function fileText(path: string): Promise<string> {
  return decodeUtf8(await readFileBytes(path), path);
}

/** The same, synchronously. @throws UserError if it cannot be read or is not UTF-8 */
export function fileTextSync(path: string): string {
  try {
    return decodeUtf8(Deno.readFileSync(path), path);
  } catch (error) {
    throw error instanceof UserError ? error : readError(error, path);
  }
}

/**
 * The text of a file, without a byte order mark; undefined if there is none.
 *
 * @throws UserError if it cannot be read or is not UTF-8
 */
export async function readIfThere(path: string): Promise<string | undefined> {
  const bytes = await bytesIfThere(path);
  return bytes && decodeUtf8(bytes, path);
}

/**
 * The lines of a log, without their ends; none if there is no file. An incomplete last line, which a
 * kill may have cut off in the middle of a character, is left out.
 *
 * @throws UserError if it cannot be read or is not UTF-8
 */
export async function logLines(path: string): Promise<string[]> {
  const bytes = await bytesIfThere(path) ?? new Uint8Array(0);
  const whole = bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1);
  return decodeUtf8(whole, path).split("\n").slice(0, -1);
}

const LINE_FEED = 0x0A;

async function bytesIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readError(error, path);
  }
}

/** The text of a file; undefined if there is none. @throws UserError if it cannot be read */
export function readIfThereSync(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readError(error, path);
  }
}

/** All bytes of a file. @throws UserError if it cannot be read */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw readError(error, path);
  }
}

/**
 * The text of a file, without a byte order mark.
 *
 * @param where the file, for messages
 * @throws UserError if it is not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${where}: not UTF-8 text`);
  }
}
