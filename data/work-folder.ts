import { UserError } from "../kernels/user-error.ts";
import { messageOf } from "./error-message.ts";
import { WholeFile } from "./whole-file.ts";

/**
 * A folder of intermediate results that a run killed midway leaves for the next one: files appear in
 * it only when they are whole. It belongs to one task; another task finds it empty.
 */
export class WorkFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Opens the folder, and empties it if it was another task's.
   *
   * @param task what results depend on; JSON
   * @throws UserError if the folder cannot be made
   */
  static async open(path: string, task: unknown): Promise<WorkFolder> {
    const folder = new WorkFolder(path);
    const key = JSON.stringify(task);
    if (await folder.readText("task.json") === key) return folder;
    try {
      await folder.remove();
      await Deno.mkdir(path, { recursive: true });
    } catch (error) {
      const reason = messageOf(error);
      throw new UserError(`the folder ${path} cannot be made: ${reason}`);
    }
    await WholeFile.write(folder.file("task.json"), key);
    return folder;
  }

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** A file's content, or undefined if it is not there. */
  async readText(name: string): Promise<string | undefined> {
    try {
      return await Deno.readTextFile(this.file(name));
    } catch {
      return undefined;
    }
  }

  async remove(): Promise<void> {
    try {
      await Deno.remove(this.path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What changes when an input does. Throws UserError if there is no such file. */
export async function fileIdentity(path: string): Promise<unknown> {
  try {
    const { size, mtime, isFile } = await Deno.stat(path);
    if (!isFile) throw new Error("it is not a file");
    return { path, size, changed: mtime?.getTime() };
  } catch (error) {
    const reason = messageOf(error);
    throw new UserError(`${path} cannot be read: ${reason}`);
  }
}
