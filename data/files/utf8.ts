import { UserError } from "../../kernels/runtime/user-error.ts";
import { readError } from "./read-error.ts";

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
