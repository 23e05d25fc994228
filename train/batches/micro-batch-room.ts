import { shuffled } from "../../data/random.ts";
import { each, extentOf, type Items } from "./example-batches.ts";
import { type Extent, firstFit } from "./first-fit.ts";
import type { Room } from "../step/micro-batch.ts";

/** How examples are put into micro-batches. */
export interface ExampleLayout {
  /** Examples per step. */
  readonly batch: number;
  /** Examples of the longest length that fit in memory at once. */
  readonly microBatch: number;
  /** Whether as many examples as fit share the rows; if not, each has the rows of the longest one. */
  readonly packing: boolean;
}

/** The number of rows is a multiple of this, as kernels compute rows in tiles. */
const ROW_UNIT = 64;
/** The fixed cost of a micro-batch, in rows. Measured for Steel-LLM on an H200: 11 ms of 85. */
const OVERHEAD = 700;
/** Number of steps that are packed to count the micro-batches that they need. */
const TRIED_STEPS = 16;

/**
 * Chooses the number of rows of a micro-batch. The most is `microBatch` examples of the longest
 * length, or `batch` if that is fewer; fewer rows are chosen where they waste less. All micro-batches
 * of a step have the same number of rows: examples that fill eight and a part of a ninth cost nine.
 */
export function roomFor(
  items: Items,
  { batch, microBatch, packing }: ExampleLayout,
  seed: number,
): Room {
  const sizes: Extent[] = [];
  let longest = 0;
  for (const item of each(items)) {
    sizes.push(extentOf(item));
    longest = Math.max(longest, ...item.map(({ inputs }) => inputs.length));
  }
  const largest = sizes.reduce((most, { tokens }) => Math.max(most, tokens), 0);
  const perItem = sizes.reduce((most, { sequences }) => Math.max(most, sequences), 0);
  const together = Math.min(microBatch, batch);
  const most = wholeUnits(together * largest);
  if (!packing) return { tokens: most, sequences: together * perItem, longest };

  const mean = sizes.reduce((sum, { tokens }) => sum + tokens, 0) / sizes.length;
  const roomOf = (tokens: number): Room => ({
    tokens,
    // Enough for examples of mean length.
    sequences: perItem * Math.ceil(1.25 * tokens / mean),
    longest,
  });
  const order = shuffled(sizes.length, seed);
  const steps = Array.from(
    { length: Math.min(TRIED_STEPS, Math.ceil(sizes.length / batch)) },
    (_, step) =>
      Array.from(order.subarray(step * batch, (step + 1) * batch), (index) => sizes[index]),
  );
  let [best, least] = [roomOf(most), Infinity];
  for (let tokens = most; tokens >= Math.max(largest, most / 2); tokens -= ROW_UNIT) {
    const room = roomOf(tokens);
    const microBatches = steps.reduce((sum, step) => sum + firstFit(step, room).length, 0);
    const cost = microBatches * (tokens + OVERHEAD);
    if (cost < least) [best, least] = [room, cost];
  }
  return best;
}

function wholeUnits(rows: number): number {
  return Math.ceil(rows / ROW_UNIT) * ROW_UNIT;
}
