import { UserError } from "../kernels/runtime/user-error.ts";
import { shuffled } from "./random.ts";

/** How far a {@linkcode BlockSource} has come; JSON. It has a meaning for the same blocks only. */
export interface BlockPosition {
  /** Complete epochs: passes over all blocks. */
  epoch: number;
  /** Blocks taken in the current epoch. */
  index: number;
}

/** How far {@linkcode ShuffledBlocks} have come; JSON. */
export interface ShuffledPosition extends BlockPosition {
  /** Identifies the text that the blocks were cut from. */
  text: string;
}

/** An endless supply of blocks of token ids, which can be resumed at a position. */
export interface BlockSource {
  /** Tokens of a block: a sequence and one more, as the targets are the inputs moved by one. */
  readonly blockLength: number;
  /** The next block, int32 [blockLength], not to be written to. */
  next(): Int32Array;
  /** Where it is now. */
  position(): BlockPosition;
  /** Goes on from a position. @throws UserError if it was taken with other blocks */
  seek(position: BlockPosition): void;
}

/**
 * Cuts a corpus, int32 [tokens], into blocks of `blockLength`. Documents go on from block to block;
 * the tokens after the last whole block are left out.
 *
 * @param name the name of the tokens in the error, such as `the corpus`
 * @throws UserError if there is not even one block
 */
export function cutIntoBlocks(tokens: Int32Array, blockLength: number, name: string): Int32Array[] {
  const count = Math.floor(tokens.length / blockLength);
  if (count === 0) {
    const has = tokens.length === 0 ? "is empty" : `has only ${tokens.length} tokens`;
    throw new UserError(
      `${name} ${has}, but one block takes ${blockLength} (data.sequence ${blockLength - 1} and ` +
        `one more): add text or lower data.sequence`,
    );
  }
  return Array.from(
    { length: count },
    (_, block) => tokens.subarray(block * blockLength, (block + 1) * blockLength),
  );
}

/**
 * Blocks in a random order, which is another one in every epoch; each block comes once an epoch.
 */
export class ShuffledBlocks implements BlockSource {
  readonly blockLength: number;
  readonly #blocks: Int32Array[];
  readonly #seed: number;
  readonly #text: string;
  #epoch = 0;
  #index = 0;
  #order: Uint32Array;

  /**
   * Shuffles blocks by a seed.
   *
   * @param blocks at least one, all of the same length
   * @param text identifies the text that they were cut from, such as its hash
   */
  constructor(blocks: Int32Array[], seed: number, text: string) {
    this.blockLength = blocks[0].length;
    this.#blocks = blocks;
    this.#seed = seed;
    this.#text = text;
    this.#order = shuffled(blocks.length, seed);
  }

  /** The next block, int32 [blockLength], not to be written to. */
  next(): Int32Array {
    if (this.#index === this.#blocks.length) this.#enterEpoch(this.#epoch + 1);
    return this.#blocks[this.#order[this.#index++]];
  }

  /** Where it is now. */
  position(): ShuffledPosition {
    return { epoch: this.#epoch, index: this.#index, text: this.#text };
  }

  /** Goes on from a position. @throws UserError if it was taken with another text */
  seek({ epoch, index, text }: ShuffledPosition): void {
    if (text !== this.#text) {
      throw new UserError(
        `data.source: this is not the text that the run was started with: give that text to go on, ` +
          `or start another run with --run.dir`,
      );
    }
    this.#enterEpoch(epoch);
    this.#index = index;
  }

  #enterEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.#index = 0;
    this.#order = shuffled(this.#blocks.length, this.#seed, epoch);
  }
}
