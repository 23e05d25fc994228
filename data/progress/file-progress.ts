import { basename } from "node:path";
import type { OnProgress } from "./progress.ts";

const NUMBER = new Intl.NumberFormat("en");

/** The status of a task that works on the documents of a file: `0000.jsonl, 12,345 documents`. */
export function fileStatus(path: string, documents: number): string {
  return `${basename(path)}, ${NUMBER.format(documents)} documents`;
}

/** Reports the progress of a task over files, one after another, in bytes of these files. */
export class FileProgress {
  readonly #task: string;
  readonly #files: { path: string; size: number }[];
  readonly #totalBytes: number;
  readonly #onProgress: OnProgress;
  #documentsBefore = 0;
  #bytesBefore = 0;

  private constructor(
    task: string,
    files: { path: string; size: number }[],
    onProgress: OnProgress,
  ) {
    this.#task = task;
    this.#files = [...files];
    this.#totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    this.#onProgress = onProgress;
  }

  /** Over the files of these paths, which must exist. */
  static async over(task: string, paths: string[], onProgress: OnProgress): Promise<FileProgress> {
    const sized = paths.map(async (path) => ({ path, size: (await Deno.stat(path)).size }));
    const progress = new FileProgress(task, await Promise.all(sized), onProgress);
    if (paths.length > 0) progress.report(0, 0);
    return progress;
  }

  /** Reports how many documents and bytes of the current file are done. */
  report(documents: number, bytes: number): void {
    this.#onProgress({
      task: this.#task,
      done: this.#bytesBefore + bytes,
      total: this.#totalBytes,
      unit: "bytes",
      status: fileStatus(this.#files[0].path, this.#documentsBefore + documents),
    });
  }

  /** Reports that the current file is done, and goes on to the next. */
  finish(documents: number): void {
    this.report(documents, this.#files[0].size);
    this.#documentsBefore += documents;
    this.#bytesBefore += this.#files.shift()!.size;
  }
}
