import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";

/** The name under which a file is written until it is whole. */
export function unfinishedName(path: string): string {
  return `${path}.unfinished`;
}

/**
 * A file that appears under its name only when it is whole: until {@linkcode WholeFile.finish} it
 * has another, under which nothing takes it for finished.
 */
export class WholeFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Throws UserError if it cannot be created. */
  static async create(path: string): Promise<WholeFile> {
    try {
      const options = { write: true, create: true, truncate: true };
      return new WholeFile(path, await Deno.open(unfinishedName(path), options));
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  /** Writes a file of one piece. Throws UserError if that cannot be done. */
  static async write(path: string, content: string | Uint8Array): Promise<void> {
    const file = await WholeFile.create(path);
    await file.append(typeof content === "string" ? new TextEncoder().encode(content) : content);
    await file.finish();
  }

  /** Throws UserError if it cannot be written, such as to a full disk. */
  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) {
        written += await this.#file.write(bytes.subarray(written));
      }
    } catch (error) {
      this.#file.close();
      throw cannotWrite(this.#path, error);
    }
  }

  /** Writes over what is there from `start` on; what is appended later still goes to the end. */
  async overwrite(start: number, bytes: Uint8Array): Promise<void> {
    await this.#file.seek(start, Deno.SeekMode.Start);
    await this.append(bytes);
    await this.#file.seek(0, Deno.SeekMode.End);
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    try {
      await this.#file.syncData();
      this.#file.close();
      await Deno.rename(unfinishedName(this.#path), this.#path);
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  /** Takes the unfinished file away. */
  async abandon(): Promise<void> {
    try {
      this.#file.close();
    } catch {
      // It was closed by the failure that led here.
    }
    await Deno.remove(unfinishedName(this.#path)).catch(() => {});
  }
}

function cannotWrite(path: string, error: unknown): UserError {
  const reason = messageOf(error);
  const advice = /ENOSPC|os error 28/.test(reason)
    ? "free some space and run the same command again; what was finished is kept"
    : "choose another place";
  return new UserError(`${path} cannot be written (${reason}): ${advice}`);
}
