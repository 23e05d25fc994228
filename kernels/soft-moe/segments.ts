import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { NO_SEQUENCE, type Sequences, type Spans } from "../layers/sequences.ts";

/** Sequences cut into segments of one length, the last one of each may be shorter. */
export interface Segments extends Spans {
  /** [sequences, 2] u32: the first segment of each sequence, and the one after its last. */
  readonly ofSequences: Tensor;
}

/**
 * Cuts each sequence into segments, from its own start on, so that where a segment ends does not
 * depend on what lies before the sequence.
 *
 * @param length tokens of a segment
 */
export function segmentsOf(sequences: Sequences, length: number): Segments {
  const { index, bounds, starts, count, longest } = sequences;
  const { graph, size: tokens } = index;
  const segments = Math.floor(tokens / length) + count;
  const segmentBounds = graph.tensor("segment bounds", [segments, 2], "u32");
  const segmentIndex = graph.tensor("segment index", [tokens], "u32");
  const ofSequences = graph.tensor("segments of sequences", [count, 2], "u32");
  graph.elementwise(
    "bounds of segments",
    segments,
    {
      bounds: read(bounds, 2),
      segment_bounds: write(segmentBounds, 2),
      of_sequences: write(ofSequences, 2),
    },
    `var next = 0u;
    var own = vec2u();
    for (var sequence = 0u; sequence < ${count}u; sequence++) {
      let limits = bounds[sequence];
      let first = next;
      next += (limits.y - limits.x + ${length - 1}u) / ${length}u;
      if (i >= first && i < next) {
        let start = limits.x + (i - first) * ${length}u;
        own = vec2u(start, min(start + ${length}u, limits.y));
      }
      if (i == sequence) { of_sequences[i] = vec2u(first, next); }
    }
    segment_bounds[i] = own;`,
  );
  graph.elementwise(
    "segments of tokens",
    tokens,
    {
      index: read(index),
      starts: read(starts),
      of_sequences: read(ofSequences, 2),
      segment_index: write(segmentIndex),
    },
    `let sequence = index[i];
    segment_index[i] = ${NO_SEQUENCE}u;
    if (sequence < ${count}u) {
      segment_index[i] = of_sequences[sequence].x + (i - starts[i]) / ${length}u;
    }`,
  );
  return {
    count: segments,
    longest: Math.min(length, longest),
    bounds: segmentBounds,
    index: segmentIndex,
    // There are enough segments to keep a GPU busy.
    parts: 1,
    ofSequences,
  };
}
