import { UserError } from "../../kernels/runtime/user-error.ts";
import type { FileSum } from "./checksum.ts";
import { finishedResult, writeMark } from "./finished-mark.ts";
import { makeFolder } from "./make-folder.ts";
import { readIfThere } from "./text-file.ts";
import { unfinishedName, WholeFile } from "./whole-file.ts";

/** The name of work folders, or the end of their names; no other folders have it. */
export const WORK_FOLDER = ".steel-work";

/** The file that holds the task: it shows that this program made the folder. */
const TASK = "task.json";

/** The name of this file until it is whole, and again while the folder is emptied. */
const MARK = unfinishedName(TASK);

/**
 * A folder of intermediate results, from which the next run goes on after a kill: files appear in
 * it only when they are whole. It belongs to one task: for another task it is emptied.
 */
export class WorkFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Opens the folder, and empties it if it belongs to another task.
   *
   * @param task everything that the results depend on; JSON
   * @throws UserError if the folder cannot be made, or if it holds files that are not of this
   *   program
   */
  static async open(path: string, task: unknown): Promise<WorkFolder> {
    const folder = new WorkFolder(path);
    const key = JSON.stringify(task);
    if (await folder.readIfThere(TASK) === key) return folder;
    await makeFolder(path);
    const names = await folder.#names();
    if (names.length > 0 && !names.includes(TASK) && !names.includes(MARK)) {
      throw new UserError(
        `${path} is the name of this command's work folder, but ${names[0]} in it is not ` +
          `a file of this program: move it away, or choose another output`,
      );
    }
    await folder.#empty();
    await WholeFile.write(folder.file(TASK), key);
    return folder;
  }

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** A file's text, or undefined if it is not there. */
  readIfThere(name: string): Promise<string | undefined> {
    return readIfThere(this.file(name));
  }

  /**
   * What {@linkcode finish} was told of a part of the task; undefined if the part is to be made.
   *
   * @param say called with a line of text if what was finished is no longer as it was written
   */
  async finished<Result>(part: string, say: (text: string) => void): Promise<Result | undefined> {
    return await finishedResult(this.file(`${part}.json`), say);
  }

  /**
   * Finishes the files of a part, and marks the part as finished.
   *
   * @param files by their names in this folder
   * @param result what the next run needs to know of the part; JSON
   */
  async finish(part: string, files: Record<string, WholeFile>, result: unknown): Promise<void> {
    const sums: Record<string, FileSum> = {};
    for (const [name, file] of Object.entries(files)) {
      await file.finish();
      sums[name] = file.sum;
    }
    await writeMark(this.file(`${part}.json`), result, sums);
  }

  async remove(): Promise<void> {
    await this.#empty();
    await Deno.remove(this.path);
  }

  async #names(): Promise<string[]> {
    return await Array.fromAsync(Deno.readDir(this.path), ({ name }) => name);
  }

  /**
   * After a kill in between, the folder still shows that it is of this program, but it has no task.
   */
  async #empty(): Promise<void> {
    const names = await this.#names();
    const others = names.filter((name) => name !== TASK && name !== MARK);
    if (names.includes(TASK)) await Deno.rename(this.file(TASK), this.file(MARK));
    for (const name of others) await Deno.remove(this.file(name), { recursive: true });
    if (others.length < names.length) await Deno.remove(this.file(MARK));
  }
}
