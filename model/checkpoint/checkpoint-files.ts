import type { TextFolder } from "../../data/files/text-folder.ts";

/**
 * The files of a checkpoint, wherever they are: on a disk, on a web server or in memory. Loading a
 * model asks a host for nothing else but this and a GPU.
 */
export interface CheckpointFiles extends TextFolder {
  /**
   * How many bytes a file has.
   *
   * @returns undefined if there is no such file
   */
  size(name: string): Promise<number | undefined>;
  /**
   * A range of a file's bytes, in memory of its own.
   *
   * @param first index of the first byte
   * @returns `count` bytes, or fewer if the file ends before
   */
  bytes(name: string, first: number, count: number): Promise<ArrayBuffer>;
  /** Gives back what reading holds open, if anything. */
  close?(): void;
}
