import { shuffled } from "../../data/random.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { type Extent, firstFit } from "./first-fit.ts";
import type { StepSource } from "../run/loop.ts";
import type { MicroBatch, Room } from "../step/micro-batch.ts";

/** Tokens and the labels behind them, -100 where the loss does not look. */
export interface Sequence {
  readonly inputs: readonly number[];
  readonly labels: readonly number[];
  /** Log-probability of the labels under the reference model, where a loss asks for it. */
  readonly reference?: number;
}

/** Sequences that go through the network together: one, or the two of a pair. */
export type Item = readonly Sequence[];

/** Items by their number: an array, or something that makes each when it is asked for. */
export interface Items {
  readonly length: number;
  at(index: number): Item | undefined;
}

/** Where a run through shuffled items stands; JSON. */
interface ItemPosition {
  epoch: number;
  index: number;
  /** Tells the items from others, among which the position means nothing. */
  items: string;
}

/**
 * Steps of fine-tuning: so many items each, in another random order every epoch. An epoch's last
 * step has what is left.
 */
export class ExampleBatches implements StepSource {
  #epoch = 0;
  #index = 0;
  #order: Uint32Array;

  /**
   * @param digest of `digestOf`: what tells the items, and those held out, from others
   * @param batch items of a step
   * @param layOut puts a step's items into micro-batches
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

  next(): MicroBatch[] {
    if (this.#index === this.items.length) this.#enterEpoch(this.#epoch + 1);
    const chosen = this.#order.subarray(this.#index, this.#index + this.batch);
    this.#index += chosen.length;
    return this.layOut(Array.from(chosen, (item) => this.items.at(item)!));
  }

  position(): ItemPosition {
    return { epoch: this.#epoch, index: this.#index, items: this.digest };
  }

  /** @param position taken among the same items: see {@linkcode requireSameItems} */
  seek(position: unknown): void {
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
    `the run was begun with other examples than its data has now: go on with the data and the ` +
      `settings it was started with, or start another run with --run.dir`,
  );
}

/** Steps of an epoch. */
export function stepsPerEpoch(items: number, batch: number): number {
  return Math.ceil(items / batch);
}

/**
 * Packs items into as few micro-batches as first-fit finds. Sequences never see each other, so a
 * packed one trains exactly as it would alone.
 */
export function packed(items: readonly Item[], room: Room): MicroBatch[] {
  return firstFit(items.map(extentOf), room).map((bin) =>
    microBatchOfItems(bin.map((index) => items[index]))
  );
}

/** The same number of items in every micro-batch, the rest of its rows padding. */
export function padded(items: readonly Item[], perMicroBatch: number): MicroBatch[] {
  return Array.from(
    { length: Math.ceil(items.length / perMicroBatch) },
    (_, i) => microBatchOfItems(items.slice(i * perMicroBatch, (i + 1) * perMicroBatch)),
  );
}

/** Items one behind the other. */
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

/** What an item takes of a micro-batch. */
export function extentOf(item: Item): Extent {
  return { tokens: tokensOf(item), sequences: item.length };
}

/** Tokens of an item's sequences together. */
export function tokensOf(item: Item): number {
  return item.reduce((sum, { inputs }) => sum + inputs.length, 0);
}
