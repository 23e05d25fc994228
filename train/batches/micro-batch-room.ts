import { shuffled } from "../../data/random.ts";
import { each, extentOf, type Items } from "./example-batches.ts";
import { type Extent, firstFit } from "./first-fit.ts";
import type { Room } from "../step/micro-batch.ts";

/** What decides how examples are laid out in micro-batches. */
interface Layout {
  /** Examples of a step. */
  readonly batch: number;
  /** Examples of the longest length that there is memory for at once. */
  readonly microBatch: number;
  /** Whether examples share a micro-batch's rows as they fit, or have the longest one's each. */
  readonly packing: boolean;
}

/** Rows come in multiples of this, for tiles' sake. */
const ROW_UNIT = 64;
/** What a micro-batch costs beside its rows, in rows: for Steel-LLM on an H200 11 ms of 85. */
const OVERHEAD = 700;
/** Steps that are packed to see how many micro-batches they need. */
const TRIED_STEPS = 16;

/**
 * The room of a micro-batch: at most the rows of `microBatch` examples of the longest length, or of
 * a step's if these are fewer, and of these as many as waste least. A step's last micro-batch is as
 * large as the others, so that rows which fill eight and a little of a ninth cost nine.
 */
export function roomFor(items: Items, { batch, microBatch, packing }: Layout, seed: number): Room {
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
    // Enough for examples of ordinary length.
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
