/** How far a command is with what it does at the moment. */
export interface Progress {
  /** Such as `cleaning`. */
  task: string;
  /** The file at hand. */
  file: string;
  documents: number;
  /** Bytes of files that have been dealt with, of all. */
  bytes: number;
  totalBytes: number;
}

export type OnProgress = (progress: Progress) => void;

/** Tells of the progress over files, one after another. */
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

  /** Over the files of these paths, which must be there. */
  static async over(task: string, paths: string[], onProgress: OnProgress): Promise<FileProgress> {
    const sized = paths.map(async (path) => ({ path, size: (await Deno.stat(path)).size }));
    const progress = new FileProgress(task, await Promise.all(sized), onProgress);
    if (paths.length > 0) progress.tell(0, 0);
    return progress;
  }

  /** Tells of so many documents and bytes of the file at hand. */
  tell(documents: number, bytes: number): void {
    this.#onProgress({
      task: this.#task,
      file: this.#files[0].path,
      documents: this.#documentsBefore + documents,
      bytes: this.#bytesBefore + bytes,
      totalBytes: this.#totalBytes,
    });
  }

  /** Tells that the file at hand is done, and goes on to the next. */
  finish(documents: number): void {
    this.tell(documents, this.#files[0].size);
    this.#documentsBefore += documents;
    this.#bytesBefore += this.#files.shift()!.size;
  }
}
