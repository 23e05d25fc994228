import { UserError } from "../../kernels/runtime/user-error.ts";
import { isMissing, readError } from "./file-errors.ts";

/** The text of a file. @throws UserError if it cannot be read */
export async function fileText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw readError(error, path);
  }
}

/** The same, synchronously. @throws UserError if it cannot be read */
export function fileTextSync(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw readError(error, path);
  }
}

/** The text of a file; undefined if there is none. @throws UserError if it cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readError(error, path);
  }
}

/** The same, synchronously. @throws UserError if it cannot be read */
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
