/** Halves of one 16-byte vector: what a lane copies at a time. */
export const HALVES = 8;

/** Halves added to each staged row, so that eight rows of a fragment fall into different banks. */
const ROW_PADDING = 8;

/** One operand's tile: how it lies in memory, how lanes copy it, where a fragment of it starts. */
export interface StagedTile {
  name: "a" | "b";
  /** Rows in memory, of `columns` contiguous elements. */
  rows: number;
  columns: number;
  /** Elements between rows in workgroup memory. */
  pitch: number;
  /** True where the inner dimension runs along the contiguous elements. */
  innerContiguous: boolean;
  vectorsPerRow: number;
  vectorsPerLane: number;
  /** Rows between two vectors of one lane. */
  rowStep: number;
  /** Vectors of one stage's buffer. */
  size: number;
}

/**
 * The tile of an operand.
 *
 * @param outer its rows or columns of the result
 * @param depth of the inner dimension
 * @param innerContiguous whether the inner dimension runs along the contiguous elements
 * @param lanes that copy it
 * @throws RangeError where lanes cannot share it evenly
 */
export function stagedTile(
  name: "a" | "b",
  outer: number,
  depth: number,
  innerContiguous: boolean,
  lanes: number,
): StagedTile {
  const rows = innerContiguous ? outer : depth;
  const columns = innerContiguous ? depth : outer;
  const pitch = columns + ROW_PADDING;
  const vectorsPerRow = columns / HALVES;
  const vectorsPerLane = rows * vectorsPerRow / lanes;
  const rowStep = lanes / vectorsPerRow;
  if (!Number.isInteger(vectorsPerLane) || !Number.isInteger(rowStep)) {
    throw new RangeError(`a ${rows} x ${columns} tile does not divide over ${lanes} lanes`);
  }
  const size = rows * pitch / HALVES;
  return {
    name,
    rows,
    columns,
    pitch,
    innerContiguous,
    vectorsPerRow,
    vectorsPerLane,
    rowStep,
    size,
  };
}

/**
 * The row that a lane copies. Eight lanes store 128 bytes at once; where a row is shorter than
 * that, they take rows far enough apart to fall into different banks.
 */
export function laneRow(tile: StagedTile): string {
  const row = `lane / ${tile.vectorsPerRow}u`;
  const together = HALVES / tile.vectorsPerRow;
  if (together <= 1 || tile.rowStep % HALVES !== 0) return row;
  return `((${row}) & ~7u) + ((${row}) % ${together}u) * ${tile.vectorsPerRow}u + ` +
    `((${row}) & 7u) / ${together}u`;
}
