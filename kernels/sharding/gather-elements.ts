import type { Communicator } from "../ranks/communicator.ts";
import type { Slice } from "../runtime/dispatch.ts";

/** A run of elements, and the rank that has it. */
export interface Holding extends Slice {
  /** The rank. */
  readonly rank: number;
}

/**
 * Brings elements together that are shared out. All ranks call it, in the same order.
 *
 * @param holdings which rank has which elements
 * @param range the elements wanted, all of which somebody has
 * @param readers the ranks that want them
 * @param own gives elements that this rank has
 * @returns the elements at the readers; undefined elsewhere
 */
export async function gatherElements(
  ranks: Communicator,
  holdings: readonly Holding[],
  range: Slice,
  readers: readonly number[],
  own: (slice: Slice) => Promise<Float32Array<ArrayBuffer>>,
): Promise<Float32Array<ArrayBuffer> | undefined> {
  const reads = readers.includes(ranks.rank);
  const whole = reads ? new Float32Array(range.count) : undefined;
  for (const { rank, first, count } of holdings) {
    const begin = Math.max(first, range.first);
    const end = Math.min(first + count, range.first + range.count);
    if (begin >= end) continue;
    const part = whole?.subarray(begin - range.first, end - range.first);
    if (rank === ranks.rank) {
      const values = await own({ first: begin, count: end - begin });
      part?.set(values);
      const others = readers.filter((reader) => reader !== rank);
      await ranks.give(new Uint8Array(values.buffer), others);
    } else if (part) {
      await ranks.take(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), rank);
    }
  }
  return whole;
}
