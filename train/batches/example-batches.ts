import { shuffled } from "../../data/random.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { MicroBatch, Room } from "../step/micro-batch.ts";
import { type Extent, firstFit } from "./first-fit.ts";
import type { StepSource } from "./step-source.ts";

/** A text as a model trains on it. */
export interface Sequence {
  /** Token ids. */
  readonly inputs: readonly number[];
  /** The token that should follow each input, or -100 where the loss ignores it. */
  readonly labels: readonly number[];
  /** Sum of the labels' log-probabilities under the reference model, where the loss needs it. */
  readonly reference?: number;
}

/** Sequences that stay in one micro-batch: one, or the two of a pair. */
export type Item = readonly Sequence[];

/** Items by index: an array, or an object that makes an item when it is asked for one. */
export interface Items {
  /** The number of items. */
  readonly length: number;
  /** The item at an index from 0. */
  at(index: number): Item | undefined;
}

/** The position in shuffled items; JSON. */
interface ItemPosition {
  epoch: number;
  index: number;
  /** The digest of the items: among other items, the position means nothing. */
  items: string;
}

/**
 * Steps of fine-tuning: a fixed number of items each, in another random order every epoch. The last
 * step of an epoch takes the rest.
 */
export class ExampleBatches implements StepSource {
  #epoch = 0;
  #index = 0;
  #order: Uint32Array;

  /**
   * Starts at the first epoch.
   *
   * @param digest of all items, with those held out: see {@linkcode digestOf}
   * @param batch items per step
   * @param seed seed of the order
   * @param layOut puts a step's items into micro-batches: {@linkcode packed} or {@linkcode padded}
   */
  constructor(
    private readonly items: Items,
    private readonly digest: string,
    private readonly batch: number,
    private readonly seed: number,
    private readonly layOut: (items: readonly Item[]) => MicroBatch[],
  ) {
    this.#order = shuffled(items.length, seed);
  }

  /** The micro-batches of the next step. */
  next(): MicroBatch[] {
    if (this.#index === this.items.length) this.#enterEpoch(this.#epoch + 1);
    const chosen = this.#order.subarray(this.#index, this.#index + this.batch);
    this.#index += chosen.length;
    return this.layOut(Array.from(chosen, (item) => this.items.at(item)!));
  }

  /** The epoch, the number of its items that were taken, and the digest. */
  position(): unknown {
    const position: ItemPosition = {
      epoch: this.#epoch,
      index: this.#index,
      items: this.digest,
    };
    return position;
  }

  /** Continues from a position. @throws UserError if it was taken among other items */
  seek(position: unknown): void {
    requireSameItems(position, this.digest);
    const { epoch, index } = position as ItemPosition;
    this.#enterEpoch(epoch);
    this.#index = index;
  }

  #enterEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.#index = 0;
    this.#order = shuffled(this.items.length, this.seed, epoch);
  }
}

/** @throws UserError if the position was taken among other items */
export function requireSameItems(position: unknown, digest: string): void {
  if ((position as ItemPosition).items === digest) return;
  throw new UserError(
    `the run was started with other examples than data.sets gives now: go on with the data and the ` +
      `settings it was started with, or start another run with --run.dir`,
  );
}

/** The number of steps in an epoch. */
export function stepsPerEpoch(items: number, batch: number): number {
  return Math.ceil(items / batch);
}

/**
 * Packs items into few micro-batches, by first-fit. Sequences never see each other: a packed one
 * trains exactly as it would alone.
 */
export function packed(items: readonly Item[], room: Room): MicroBatch[] {
  return firstFit(items.map(extentOf), room).map((bin) =>
    microBatchOfItems(bin.map((index) => items[index]))
  );
}

/** Puts the same number of items in every micro-batch; the other rows are padding. */
export function padded(items: readonly Item[], perMicroBatch: number): MicroBatch[] {
  return Array.from(
    { length: Math.ceil(items.length / perMicroBatch) },
    (_, i) => microBatchOfItems(items.slice(i * perMicroBatch, (i + 1) * perMicroBatch)),
  );
}

/** A micro-batch of items, one after another. */
export function microBatchOfItems(items: readonly Item[]): MicroBatch {
  const sequences = items.flat();
  return {
    inputs: sequences.map(({ inputs }) => inputs),
    labels: sequences.map(({ labels }) => labels),
    references: sequences.map(({ reference }) => reference ?? 0),
  };
}

/** Every item, in order. */
export function* each(items: Items): Generator<Item> {
  for (let index = 0; index < items.length; index++) yield items.at(index)!;
}

/** The rows and sequences of an item. */
export function extentOf(item: Item): Extent {
  return { tokens: tokensOf(item), sequences: item.length };
}

/** The number of tokens in an item's sequences. */
export function tokensOf(item: Item): number {
  return item.reduce((sum, { inputs }) => sum + inputs.length, 0);
}
