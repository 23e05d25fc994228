import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isFolder } from "./exists.ts";
import { isMissing, writeError } from "./file-errors.ts";
import { makeFolder } from "./make-folder.ts";

/** The name of a folder's lock, and the end of the name of a file's. */
const LOCK = ".lock";

/** The most of the holder's words that are read and shown. */
const WORDS = 300;

/**
 * Keeps other processes from writing into the same folder, or the same file, until it is disposed
 * of. The operating system keeps the lock, so that a process that is killed leaves none, and so do
 * network file systems between the machines that share them. Readers need no lock.
 *
 * Some network file systems keep no locks at all. There the lock is a file that must not exist
 * before; a process that is killed leaves it, and the refusal says which file to remove.
 */
export class Lock implements AsyncDisposable {
  private constructor(
    private readonly path: string,
    private readonly file: Deno.FsFile,
    private readonly madeFolder: boolean,
  ) {}

  /**
   * Locks a folder, which is made if it is not there, and removed at the end if it is then empty.
   *
   * @throws UserError naming the command, process and machine that hold the lock
   */
  static async ofFolder(dir: string): Promise<Lock> {
    return await Lock.#take(join(dir, LOCK), dir);
  }

  /**
   * Locks a file or folder that appears only when it is whole, by a file beside it.
   *
   * @throws UserError naming the command, process and machine that hold the lock
   */
  static async beside(target: string): Promise<Lock> {
    const path = resolve(target);
    return await Lock.#take(join(dirname(path), `.${basename(path)}${LOCK}`), target);
  }

  static async #take(path: string, target: string): Promise<Lock> {
    while (true) {
      const madeFolder = !await isFolder(dirname(path));
      await makeFolder(dirname(path));
      const file = await openLock(path);
      if (!file) continue;
      try {
        const isLocked = await tryLock(file, path);
        if (!isLocked) throw taken(target, await holderIn(path));
        // Its holder may have removed the file between our opening and our locking it.
        if (await isSameFile(file, path)) {
          await writeHolder(file, path);
          return new Lock(path, file, madeFolder);
        }
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
    }
  }

  /** Removes the lock. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isWindows = Deno.build.os === "windows"; // where open files cannot be removed
    if (!isWindows) await Deno.remove(this.path).catch(() => {});
    this.file.close();
    if (isWindows) await Deno.remove(this.path).catch(() => {});
    // Does nothing to a folder that something was written into.
    if (this.madeFolder) await Deno.remove(dirname(this.path)).catch(() => {});
  }
}

/** Opens or makes the file; undefined if another process has just removed its folder. */
async function openLock(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw writeError(error, path);
  }
}

async function tryLock(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch {
    // The file system keeps no locks: who has made the file holds it.
    const { size } = await file.stat();
    if (size === 0) return true;
    throw new UserError(
      `${path}: this disk keeps no locks, and the file says that another process writes here: ` +
        `${await holderIn(path)}. If that process has ended, remove the file`,
    );
  }
}

async function isSameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  const [ours, there] = [await file.stat(), await Deno.stat(path).catch(() => undefined)];
  return there !== undefined && ours.ino === there.ino && ours.dev === there.dev;
}

async function writeHolder(file: Deno.FsFile, path: string): Promise<void> {
  try {
    await file.truncate();
    await file.write(new TextEncoder().encode(`${thisProcess()}\n`));
  } catch (error) {
    await Deno.remove(path).catch(() => {}); // the first error is the one that matters
    throw writeError(error, path);
  }
}

/** Such as `pretrain --run.dir=runs/a (process 4711 on node7)`. */
function thisProcess(): string {
  const [module = "deno", ...args] = process.argv.slice(1);
  const command = basename(module).replace(/(-command)?\.\w+$/, "");
  const host = Deno.permissions.querySync({ name: "sys", kind: "hostname" }).state === "granted"
    ? ` on ${Deno.hostname()}`
    : "";
  const words = [command, ...args].join(" ").slice(0, WORDS - 100);
  return `${words} (process ${Deno.pid}${host})`;
}

async function holderIn(path: string): Promise<string> {
  // It may be gone by now, and Windows lets nobody read a locked file.
  const text = await Deno.readTextFile(path).catch(() => "");
  // deno-lint-ignore no-control-regex -- a terminal is not to obey what a file says
  return text.slice(0, WORDS).replace(/[\x00-\x1f\x7f]+/g, " ").trim() || "which one is not known";
}

function taken(target: string, holder: string): UserError {
  return new UserError(
    `${target}: another process writes here: ${holder}. Wait until it has ended, or choose ` +
      `another folder`,
  );
}
