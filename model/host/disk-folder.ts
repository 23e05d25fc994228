import { join } from "node:path";
import { currentFolder } from "../../data/files/atomic-folder.ts";
import { isMissing, readError } from "../../data/files/file-errors.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import { newestCheckpoint } from "./run-folder.ts";

/** A file that is being read. */
interface OpenFile {
  readonly file: Deno.FsFile;
  readonly size: number;
  /** Settled when the file's position is free for the next read. */
  lastRead: Promise<unknown>;
}

/**
 * A folder on this machine's disk. A file of which bytes were asked for stays open until the folder
 * is closed: all its bytes are of one file, even if another takes its place.
 */
export class DiskFolder implements CheckpointFiles, Disposable {
  readonly #opened = new Map<string, Promise<OpenFile | undefined>>();
  readonly #handles = new Set<Deno.FsFile>();

  constructor(readonly dir: string) {}

  text(name: string): Promise<string | undefined> {
    return readIfThere(join(this.dir, name));
  }

  async size(name: string): Promise<number | undefined> {
    return (await this.#fileOf(name))?.size;
  }

  async bytes(name: string, first: number, count: number): Promise<ArrayBuffer> {
    const path = join(this.dir, name);
    const open = await this.#fileOf(name);
    if (!open) throw new UserError(`${path}: there is no such file`);
    // Reads go one after another, since they share the file's position.
    const read = open.lastRead.then(() => readRange(open.file, first, count, path));
    open.lastRead = read.catch(() => {});
    return await read;
  }

  close(): void {
    for (const file of this.#handles) file.close();
    this.#handles.clear();
    this.#opened.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fileOf(name: string): Promise<OpenFile | undefined> {
    const opened = this.#opened.get(name) ?? this.#openFile(join(this.dir, name));
    this.#opened.set(name, opened);
    return opened;
  }

  async #openFile(path: string): Promise<OpenFile | undefined> {
    const file = await Deno.open(path).catch((error) => {
      if (isMissing(error)) return undefined;
      throw readError(error, path);
    });
    if (!file) return undefined;
    this.#handles.add(file);
    return { file, size: (await file.stat()).size, lastRead: Promise.resolve() };
  }
}

/** Opens a checkpoint's folder, or of a training run's folder the newest checkpoint. */
export async function openFolder(dir: string): Promise<DiskFolder> {
  return new DiskFolder(await currentFolder(await newestCheckpoint(dir) ?? dir));
}

async function readRange(
  file: Deno.FsFile,
  first: number,
  count: number,
  path: string,
): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  let done = 0;
  try {
    await file.seek(first, Deno.SeekMode.Start);
    while (done < count) {
      const read = await file.read(bytes.subarray(done));
      if (read === null) break;
      done += read;
    }
  } catch (error) {
    throw readError(error, path);
  }
  return done < count ? bytes.buffer.slice(0, done) : bytes.buffer;
}
