import { writeError } from "./file-errors.ts";

/**
 * A file that only grows, such as a log of JSON lines. A kill may cut off what was appended last:
 * the caller that opens the file again says how many bytes of it are whole.
 */
export class AppendOnlyFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /**
   * Opens the file, or makes it.
   *
   * @param length bytes to keep of a file that is there; all of them if undefined
   * @throws UserError if it cannot be written
   */
  constructor(path: string, length?: number) {
    this.#path = path;
    try {
      this.#file = Deno.openSync(path, { write: true, create: true });
    } catch (error) {
      throw writeError(error, path);
    }
    if (length !== undefined) this.#file.truncateSync(length);
    this.#file.seekSync(0, Deno.SeekMode.End);
  }

  /**
   * Appends text or bytes.
   *
   * @throws UserError if they cannot all be written, such as to a full disk
   */
  append(content: string | Uint8Array): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    try {
      for (let written = 0; written < bytes.length;) {
        written += this.#file.writeSync(bytes.subarray(written));
      }
    } catch (error) {
      throw writeError(error, this.#path);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
