import type { MatrixLayout } from "../product.ts";

/** How the product is cut up. Rows and columns are those of the result. */
export interface MatmulTile {
  /** Rows of the result that a workgroup computes. */
  rows: number;
  /** Columns of the result that a workgroup computes. */
  columns: number;
  /** Inner dimension staged in workgroup memory at a time. */
  depth: number;
  /** Rows of the result that a subgroup keeps in registers. */
  subgroupRows: number;
  /** Columns of the result that a subgroup keeps in registers. */
  subgroupColumns: number;
  /** Workgroup buffers a stage: 1 (two barriers a stage) or 2 (one barrier, twice the memory). */
  buffers: 1 | 2;
}

/** Four subgroups of 64 x 64 results each. */
const SUBGROUPS = { rows: 128, columns: 128, subgroupRows: 64, subgroupColumns: 64 };

/** The tile of a layout, chosen on an H200 (TFLOP/s of both in `kernels/README.md`). */
export const MATMUL_TILES: Record<MatrixLayout, MatmulTile> = {
  // 295 (two buffers of depth 16: 231) at 16384 x 5376 x 1792
  nt: { ...SUBGROUPS, depth: 32, buffers: 1 },
  // 309 (283) at 16384 x 5376 x 1792
  nn: { ...SUBGROUPS, depth: 32, buffers: 1 },
  // 345 (one buffer of depth 32: 334) at 151936 x 1792 x 2048
  tn: { ...SUBGROUPS, depth: 16, buffers: 2 },
};
