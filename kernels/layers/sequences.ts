import { read, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";

/** Value of `index` for a row of padding. */
export const NO_SEQUENCE = 0xffffffff;

/**
 * How the rows of a batch are divided into sequences. A batch is one flat list of token rows;
 * sequences lie one behind the other and never see each other, and the rows after the last one are
 * padding. Operators treat padded, packed and single sequences alike.
 */
export interface Sequences {
  /** How many; unused ones are empty. */
  readonly count: number;
  /** The most tokens that one of them has. */
  readonly longest: number;
  /** [count, 2] u32: first row and the row after the last. */
  readonly bounds: Tensor;
  /** [tokens] u32: which sequence a row belongs to, or NO_SEQUENCE. */
  readonly index: Tensor;
  /** [tokens] u32: first row of the row's sequence; a row of padding is alone. */
  readonly starts: Tensor;
  /** [tokens] u32: the row after the last of the row's sequence. */
  readonly ends: Tensor;
}

/** Stretches of rows that operators treat apart: whole sequences, or parts of them. */
export interface Spans extends Pick<Sequences, "count" | "longest" | "bounds" | "index"> {
  /** In how many parts a sum over a span may be cut; as many as keep a GPU busy when left out. */
  readonly parts?: number;
}

/** Declares the inputs that describe up to `count` sequences in `tokens` rows. */
export function sequenceInputs(
  graph: Graph,
  tokens: number,
  count: number,
  longest = tokens,
): Sequences {
  return {
    count,
    longest,
    bounds: graph.input("sequence bounds", [count, 2], "u32"),
    index: graph.input("sequence index", [tokens], "u32"),
    starts: graph.input("sequence starts", [tokens], "u32"),
    ends: graph.input("sequence ends", [tokens], "u32"),
  };
}

/**
 * The same sequences for attention with a sliding window (Beltagy et al., arXiv 2004.05150): a row
 * sees the rows of its sequence from `window` - 1 before it on, and is seen by as many behind it.
 *
 * @param window how many rows a row sees, itself included
 */
export function slidingWindow(sequences: Sequences, window: number): Sequences {
  const { index: { graph, shape } } = sequences;
  const starts = graph.tensor("window starts", shape, "u32");
  const ends = graph.tensor("window ends", shape, "u32");
  graph.elementwise(
    "sliding window",
    starts.size,
    {
      sequence_starts: read(sequences.starts),
      sequence_ends: read(sequences.ends),
      starts: write(starts),
      ends: write(ends),
    },
    `starts[i] = max(sequence_starts[i], max(i + 1u, ${window}u) - ${window}u);
    ends[i] = min(sequence_ends[i], i + ${window}u);`,
  );
  return { ...sequences, starts, ends };
}

/** The numbers for those inputs, and each row's position in its sequence. */
export interface SequenceRows {
  /** For `Sequences.bounds`. */
  readonly bounds: Uint32Array<ArrayBuffer>;
  /** For `Sequences.index`. */
  readonly index: Uint32Array<ArrayBuffer>;
  /** For `Sequences.starts`. */
  readonly starts: Uint32Array<ArrayBuffer>;
  /** For `Sequences.ends`. */
  readonly ends: Uint32Array<ArrayBuffer>;
  /** [tokens]: each row's place in its sequence, from 0; 0 for padding. */
  readonly positions: Uint32Array<ArrayBuffer>;
}

/**
 * Lays sequences of the given lengths one behind the other in `tokens` rows.
 *
 * @param lengths at most `count` of them, together at most `tokens`
 */
export function layOutSequences(
  lengths: readonly number[],
  tokens: number,
  count: number,
): SequenceRows {
  const rows = {
    bounds: new Uint32Array(2 * count),
    index: new Uint32Array(tokens).fill(NO_SEQUENCE),
    starts: new Uint32Array(tokens),
    ends: new Uint32Array(tokens),
    positions: new Uint32Array(tokens),
  };
  for (let row = 0; row < tokens; row++) {
    rows.starts[row] = row;
    rows.ends[row] = row + 1;
  }
  let start = 0;
  lengths.forEach((length, sequence) => {
    const end = start + length;
    rows.bounds.set([start, end], 2 * sequence);
    rows.index.fill(sequence, start, end);
    rows.starts.fill(start, start, end);
    rows.ends.fill(end, start, end);
    for (let row = start; row < end; row++) rows.positions[row] = row - start;
    start = end;
  });
  return rows;
}
