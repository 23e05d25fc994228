import { IGNORED_LABEL } from "../data/instructions/encode.ts";
import { IGNORED } from "../kernels/head.ts";

/** The labels of sequences as rows for the GPU: IGNORED for IGNORED_LABEL and in the padding behind them. */
export function labelRows(
  labels: readonly ArrayLike<number>[],
  rows: number,
): Uint32Array<ArrayBuffer> {
  const result = new Uint32Array(rows).fill(IGNORED);
  let row = 0;
  for (const sequence of labels) {
    for (let i = 0; i < sequence.length; i++, row++) {
      if (sequence[i] !== IGNORED_LABEL) result[row] = sequence[i];
    }
  }
  return result;
}
