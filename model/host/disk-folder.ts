import { join } from "node:path";
import { currentFolder } from "../../data/files/atomic-folder.ts";
import { Checksum, isSameSum, sumOf } from "../../data/files/checksum.ts";
import { folderError, isMissing, readError } from "../../data/files/file-errors.ts";
import { readFileBytes, readIfThere } from "../../data/files/text-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import { type Checksums, damaged, readChecksums } from "./checksums.ts";
import { newestCheckpoint } from "./run-folder.ts";

/** A file that is being read. */
interface OpenFile {
  readonly file: Deno.FsFile;
  readonly size: number;
  /** Settled when the file's position is free for the next read. */
  lastRead: Promise<unknown>;
  /** Sums up what was read from the beginning on without a gap. */
  readonly checksum: Checksum;
}

/** How many bytes are read at a time where they are only summed up. */
const CHUNK_BYTES = 1 << 24;

/**
 * A folder on this machine's disk. A file of which bytes were asked for stays open until the folder
 * is closed: all its bytes are of one file, even if another takes its place.
 *
 * Where the folder has checksums, a text is compared with its own, and so is a file whose bytes are
 * asked for in order, with its last one: to check a file costs no reading of its own.
 */
export class DiskFolder implements CheckpointFiles, Disposable {
  readonly #opened = new Map<string, Promise<OpenFile | undefined>>();
  readonly #handles = new Set<Deno.FsFile>();

  private constructor(readonly dir: string, private readonly checksums?: Checksums) {}

  /** Opens a folder. @throws UserError if its checksums are damaged */
  static async open(dir: string): Promise<DiskFolder> {
    return new DiskFolder(dir, await readChecksums(dir));
  }

  async text(name: string): Promise<string | undefined> {
    const path = join(this.dir, name);
    if (!this.#isListed(name)) return await readIfThere(path);
    const bytes = await readFileBytes(path);
    if (!isSameSum(sumOf(bytes), this.checksums![name])) throw damaged(path, this.dir);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  async size(name: string): Promise<number | undefined> {
    return (await this.#fileOf(name))?.size;
  }

  async bytes(name: string, first: number, count: number): Promise<ArrayBuffer> {
    const path = join(this.dir, name);
    const open = await this.#fileOf(name);
    if (!open) throw new UserError(`${path}: there is no such file`);
    // Reads go one after another, since they share the file's position.
    const read = open.lastRead.then(async () => {
      const bytes = await readRange(open.file, first, count, path);
      if (first === open.checksum.bytes) this.#sumUp(name, open, new Uint8Array(bytes));
      return bytes;
    });
    open.lastRead = read.catch(() => {});
    return await read;
  }

  /**
   * Checks all files that have a checksum: reads what has not been read yet.
   *
   * @throws UserError naming the file that is missing, damaged or changed
   */
  async verify(): Promise<void> {
    for (const name of Object.keys(this.checksums ?? {})) {
      const open = (await this.#fileOf(name))!;
      while (open.checksum.bytes < open.size) {
        const { byteLength } = await this.bytes(name, open.checksum.bytes, CHUNK_BYTES);
        if (byteLength === 0) throw damaged(join(this.dir, name), this.dir);
      }
    }
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
    const opened = this.#opened.get(name) ?? this.#openFile(name);
    this.#opened.set(name, opened);
    return opened;
  }

  async #openFile(name: string): Promise<OpenFile | undefined> {
    const path = join(this.dir, name);
    const file = await Deno.open(path).catch((error) => {
      if (isMissing(error) && !this.#isListed(name)) return undefined;
      throw readError(error, path);
    });
    if (!file) return undefined;
    this.#handles.add(file);
    const { size, isDirectory } = await file.stat();
    if (isDirectory) throw folderError(path);
    if (this.#isListed(name) && this.checksums![name].bytes !== size) throw damaged(path, this.dir);
    return { file, size, lastRead: Promise.resolve(), checksum: new Checksum() };
  }

  #isListed(name: string): boolean {
    return this.checksums !== undefined && Object.hasOwn(this.checksums, name);
  }

  #sumUp(name: string, { checksum, size }: OpenFile, bytes: Uint8Array): void {
    if (!this.#isListed(name)) return;
    checksum.add(bytes);
    if (checksum.bytes !== size || isSameSum(checksum.sum, this.checksums![name])) return;
    throw damaged(join(this.dir, name), this.dir);
  }
}

/** Opens a checkpoint's folder, or of a training run's folder the newest checkpoint. */
export async function openFolder(dir: string): Promise<DiskFolder> {
  return await DiskFolder.open(await currentFolder(await newestCheckpoint(dir) ?? dir));
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
