import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { IGNORED } from "../../kernels/loss/head.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { upload } from "../../kernels/runtime/transfer.ts";

/**
 * Writes the labels of sequences, one behind the other: IGNORED for IGNORED_LABEL and in the padding
 * behind them.
 *
 * @param into [tokens] u32
 */
export function uploadLabels(gpu: Gpu, into: Tensor, labels: readonly ArrayLike<number>[]): void {
  const rows = new Uint32Array(into.size).fill(IGNORED);
  let row = 0;
  for (const sequence of labels) {
    for (let i = 0; i < sequence.length; i++, row++) {
      if (sequence[i] !== IGNORED_LABEL) rows[row] = sequence[i];
    }
  }
  upload(gpu, into, rows);
}
