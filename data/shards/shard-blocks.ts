import { UserError } from "../../kernels/runtime/user-error.ts";
import type { BlockPosition, BlockSource } from "../blocks.ts";
import { Random, shuffle } from "../random.ts";
import { readManifest, verifyShards } from "./manifest.ts";
import { Shard } from "./shard-file.ts";

/** How far training has come in shards, whatever the number of processes; JSON, a few lines. */
export interface ShardPosition extends BlockPosition {
  /** Blocks of an epoch. */
  blocks: number;
  /** The seed of the random order. */
  seed: number;
  /** MD5 of each shard, in the order in which they were opened. */
  shards: string[];
  /** Folders that were added later: after how many shards, and at which index of which epoch. */
  appended: { dir: string; shards: number; epoch: number; index: number }[];
}

/** Which blocks to take, and in which order. */
export interface ShardBlocksOptions {
  /** Folders of shards. */
  dirs: string[];
  /** Tokens of a block: a sequence and one more. */
  blockLength: number;
  /** The seed of the random order. */
  seed: number;
  /** Number of this process, from 0, among those that train together: each takes other blocks. */
  rank?: number;
  /** Number of processes; 1 if undefined. */
  world?: number;
  /** One block in this many of each shard is held out: it is never trained on. */
  heldOutEvery?: number;
}

/**
 * The blocks of shards in random order, each once an epoch; the processes of a run take them in
 * turn. Shards may be added midway: their blocks are mixed with those that were not taken yet.
 */
export class ShardBlocks implements BlockSource, Disposable {
  readonly blockLength: number;
  /** The tokenizer whose ids the tokens are, and the id that fills the last shard. */
  #made: { tokenizer: string; paddingToken: number } | undefined;
  readonly #rank: number;
  readonly #world: number;
  readonly #heldOutEvery: number;
  #seed: number;
  readonly #shards: Shard[] = [];
  #md5: string[] = [];
  /** Blocks before each shard, and of all; those held out are counted apart. */
  #starts = [0];
  #heldOutStarts = [0];
  #appended: ShardPosition["appended"] = [];
  #epoch = 0;
  /** Blocks that all processes together have taken in this epoch. */
  #index = 0;
  /** The orders of the current epoch, and perhaps of the next. */
  readonly #orders = new Map<number, Uint32Array>();

  private constructor(
    { blockLength, seed, rank = 0, world = 1, heldOutEvery = Infinity }: ShardBlocksOptions,
  ) {
    this.blockLength = blockLength;
    this.#seed = seed;
    this.#rank = rank;
    this.#world = world;
    this.#heldOutEvery = heldOutEvery;
  }

  /** Opens shards. @throws UserError if a folder has none, or others than its manifest describes */
  static async open(options: ShardBlocksOptions): Promise<ShardBlocks> {
    const blocks = new ShardBlocks(options);
    for (const dir of options.dirs) await blocks.#addFolder(dir);
    return blocks;
  }

  /** Number of blocks to train on. */
  get length(): number {
    return this.#starts.at(-1)!;
  }

  /** Number of blocks that are held out. */
  get heldOutLength(): number {
    return this.#heldOutStarts.at(-1)!;
  }

  /** The id that fills the end of the last block; the loss must ignore it as a target. */
  get paddingToken(): number {
    return this.#made!.paddingToken;
  }

  next(): Int32Array {
    let [epoch, index] = [this.#epoch, this.#index + this.#rank];
    while (index >= this.length) {
      index -= this.length;
      epoch++;
    }
    const block = this.#order(epoch)[index];
    this.#advance(this.#world);
    const shard = shardOf(block, this.#starts);
    const among = block - this.#starts[shard];
    return this.#read(shard, among + Math.floor(among / (this.#heldOutEvery - 1)));
  }

  /** A held-out block, int32 [blockLength]; `index` counts over all shards. */
  heldOut(index: number): Int32Array {
    const shard = shardOf(index, this.#heldOutStarts);
    const among = index - this.#heldOutStarts[shard];
    return this.#read(shard, (among + 1) * this.#heldOutEvery - 1);
  }

  /** How far training has come. */
  position(): ShardPosition {
    return {
      epoch: this.#epoch,
      index: this.#index,
      blocks: this.length,
      seed: this.#seed,
      shards: [...this.#md5],
      appended: this.#appended.map((event) => ({ ...event })),
    };
  }

  /**
   * Goes on from a position.
   *
   * @throws UserError if it was taken with other shards, or another order
   */
  seek(position: BlockPosition): void {
    if (!isShardPosition(position)) {
      throw new UserError("the run was saved with data other than shards: give it the same data");
    }
    const differs = position.shards.findIndex((md5, i) => md5 !== this.#md5[i]);
    if (differs >= 0 || position.shards.length !== this.#md5.length) {
      throw new UserError(
        `number ${Math.max(differs, 0) + 1} of the ${position.shards.length} shards that the run ` +
          `was saved with is missing or has changed: give it the folders that it had, in their ` +
          `order, and new ones with data.append`,
      );
    }
    if (position.blocks !== this.length) {
      throw new UserError(
        `the run was saved with ${position.blocks} blocks, and now there are ${this.length}: give ` +
          `it the block length and the held-out share that it had`,
      );
    }
    this.#seed = position.seed;
    this.#appended = position.appended.map((event) => ({ ...event }));
    this.#orders.clear();
    this.#epoch = position.epoch;
    this.#index = position.index;
  }

  /**
   * Mixes the blocks of another folder with the remaining blocks of this epoch; later epochs have
   * all blocks. From then on the position names the folder, which must be opened with the others.
   *
   * @returns the number of new blocks
   * @throws UserError if one of its shards is open already
   */
  async append(dir: string): Promise<number> {
    const before = this.length;
    const event = { dir, shards: this.#md5.length, epoch: this.#epoch, index: this.#index };
    await this.#addFolder(dir);
    this.#appended.push(event);
    this.#orders.clear();
    return this.length - before;
  }

  /** Closes the files of the shards. */
  close(): void {
    for (const shard of this.#shards) shard.close();
  }

  /** Closes the files of the shards. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #addFolder(dir: string): Promise<void> {
    const manifest = await readManifest(dir);
    await verifyShards(dir, manifest);
    const { tokenizer, paddingToken } = manifest;
    this.#made ??= { tokenizer, paddingToken };
    if (this.#made.tokenizer !== tokenizer) {
      throw new UserError(
        `${dir} was made with the tokenizer ${tokenizer}, the shards before it with ` +
          `${this.#made.tokenizer}: tokenize it again with that`,
      );
    }
    const known = manifest.shards.find(({ md5 }) => this.#md5.includes(md5));
    if (known !== undefined) {
      throw new UserError(
        `${dir}/${known.file} has content that the run already has (MD5 ${known.md5}): it would be ` +
          `trained on twice`,
      );
    }
    for (const { file, tokens, md5 } of manifest.shards) {
      this.#shards.push(Shard.open(`${dir}/${file}`));
      this.#md5.push(md5);
      const blocks = Math.floor(tokens / this.blockLength);
      const heldOut = Math.floor(blocks / this.#heldOutEvery);
      this.#starts.push(this.length + blocks - heldOut);
      this.#heldOutStarts.push(this.heldOutLength + heldOut);
    }
    if (this.length === 0) {
      throw new UserError(`${dir} has not even one block of ${this.blockLength} tokens`);
    }
  }

  #advance(blocks: number): void {
    this.#index += blocks;
    while (this.#index >= this.length) {
      this.#index -= this.length;
      this.#orders.delete(this.#epoch++);
    }
  }

  /** The blocks of an epoch in their order. */
  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (order === undefined) {
      order = this.#makeOrder(epoch);
      this.#orders.set(epoch, order);
    }
    return order;
  }

  #makeOrder(epoch: number): Uint32Array {
    const earlier = this.#appended.filter((event) => event.epoch < epoch);
    const during = this.#appended.filter((event) => event.epoch === epoch);
    const after = this.#appended.find((event) => event.epoch > epoch);
    const shardsAtStart = during[0]?.shards ?? after?.shards ?? this.#md5.length;
    let order = range(0, this.#starts[shardsAtStart]);
    shuffle(order, 0, new Random(this.#seed, epoch));
    during.forEach(({ index }, i) => {
      const end = during[i + 1]?.shards ?? after?.shards ?? this.#md5.length;
      const grown = new Uint32Array(this.#starts[end]);
      grown.set(order);
      grown.set(range(order.length, grown.length), order.length);
      order = grown;
      // A stream of its own for each time that shards came.
      shuffle(order, index, new Random(this.#seed, ~(earlier.length + i)));
    });
    return order;
  }

  #read(shard: number, block: number): Int32Array {
    return this.#shards[shard].read(block * this.blockLength, this.blockLength);
  }
}

/** The last shard that begins at or before this block; `starts` ascend. */
function shardOf(block: number, starts: readonly number[]): number {
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= block) low = middle;
    else high = middle - 1;
  }
  return low;
}

function isShardPosition(position: BlockPosition): position is ShardPosition {
  return "shards" in position && "appended" in position && "seed" in position;
}

function range(start: number, end: number): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, i) => start + i);
}
