import { UserError } from "../kernels/runtime/user-error.ts";

/** The bytes of a file. @throws {UserError} when it cannot be read */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new UserError(`${path}: cannot be read: ${(error as Error).message}`);
  }
}

/**
 * The text of a file, without a byte order mark.
 *
 * @param where the file, for messages
 * @throws {UserError} when it is not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${where}: not UTF-8 text`);
  }
}
