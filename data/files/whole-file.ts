import { Checksum, type FileSum } from "./checksum.ts";
import { syncFile } from "./atomic-folder.ts";
import { writeError } from "./file-errors.ts";

/** After so many bytes the disk begins to write them, so that little is left to wait for at the end. */
const SYNC_BYTES = 256 * 1024 * 1024;

/** The name under which a file is written until it is whole. */
export function unfinishedName(path: string): string {
  return `${path}.unfinished`;
}

/**
 * Writes a file that appears under its name only when it is whole: until {@linkcode
 * WholeFile.finish} it has another name, under which nothing takes it for finished. To be disposed
 * of, which removes the file if it was not finished.
 */
export class WholeFile implements AsyncDisposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #size: number | undefined;
  readonly #checksum = new Checksum();
  #unsynced = 0;
  #synced = Promise.resolve();
  #isOpen = true;
  #isFinished = false;

  private constructor(path: string, file: Deno.FsFile, size?: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  /**
   * Begins the file.
   *
   * @param size bytes of the finished file, where known: a full disk is reported with it
   * @throws UserError if it cannot be created
   */
  static async create(path: string, size?: number): Promise<WholeFile> {
    try {
      const options = { write: true, create: true, truncate: true };
      return new WholeFile(path, await Deno.open(unfinishedName(path), options), size);
    } catch (error) {
      throw writeError(error, path, size);
    }
  }

  /**
   * Writes a file in one piece.
   *
   * @returns its sum
   * @throws UserError if that fails; an earlier file then stays
   */
  static async write(path: string, content: string | Uint8Array): Promise<FileSum> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await using file = await WholeFile.create(path, bytes.length);
    await file.append(bytes);
    await file.finish();
    return file.sum;
  }

  /** The sum of what was appended. Not that of the file if {@linkcode overwrite} was called. */
  get sum(): FileSum {
    return this.#checksum.sum;
  }

  /** Appends bytes. @throws UserError if they cannot be written, such as to a full disk */
  async append(bytes: Uint8Array): Promise<void> {
    this.#checksum.add(bytes);
    await this.#write(bytes);
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_BYTES) return;
    this.#unsynced = 0;
    // By a handle of its own: calls on one handle wait for each other.
    this.#synced = this.#synced.then(() => syncFile(unfinishedName(this.#path)));
    this.#synced.catch(() => {}); // thrown by finish
  }

  /** Writes over what is there from `start` on; later bytes are still appended to the end. */
  async overwrite(start: number, bytes: Uint8Array): Promise<void> {
    await this.#file.seek(start, Deno.SeekMode.Start);
    await this.#write(bytes);
    await this.#file.seek(0, Deno.SeekMode.End);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) {
        written += await this.#file.write(bytes.subarray(written));
      }
    } catch (error) {
      throw writeError(error, this.#path, this.#size);
    }
  }

  /** Waits until the file is on the disk and gives it its name. @throws UserError if that fails */
  async finish(): Promise<void> {
    try {
      await this.#synced;
      await this.#file.syncData();
      this.#close();
      await Deno.rename(unfinishedName(this.#path), this.#path);
      this.#isFinished = true;
    } catch (error) {
      throw writeError(error, this.#path, this.#size);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isFinished) return;
    await this.#synced.catch(() => {}); // the error before it is the one that matters
    if (this.#isOpen) this.#close();
    await Deno.remove(unfinishedName(this.#path)).catch(() => {});
  }

  #close(): void {
    this.#isOpen = false;
    this.#file.close();
  }
}
