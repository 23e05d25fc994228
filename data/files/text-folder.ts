/**
 * A folder whose text files can be read, wherever it is: on a disk, on a web server or in memory.
 */
export interface TextFolder {
  /** The folder's path or address, as errors name it. */
  readonly dir: string;
  /**
   * The text of a file.
   *
   * @param name the file's name in the folder
   * @returns undefined if there is no such file
   */
  text(name: string): Promise<string | undefined>;
  /** How many bytes a file has, where a folder can tell; see `CheckpointFiles`. */
  size?(name: string): Promise<number | undefined>;
  /** A range of a file's bytes, where a folder can read them. */
  bytes?(name: string, first: number, count: number): Promise<ArrayBuffer>;
}

/** How errors name a file of a folder. */
export function pathIn({ dir }: Pick<TextFolder, "dir">, name: string): string {
  return `${dir.replace(/\/+$/, "")}/${name}`;
}
