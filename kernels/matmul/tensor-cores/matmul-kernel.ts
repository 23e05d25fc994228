import type { FragmentShape } from "../../runtime/fragment.ts";
import type { MatrixLayout, RowLists } from "../product.ts";
import type { MatmulTile } from "./matmul-tile.ts";

/** What to multiply and how to store the result. */
export interface TensorCoreMatmul {
  layout: MatrixLayout;
  /** Products one behind the other in all operands; 1 when left out. More have no bias, and no splits. */
  batch?: number;
  m: number;
  n: number;
  k: number;
  /** Element type of C. */
  output: "f32" | "f16";
  /** Adds to what C holds (f32 output only). */
  accumulate?: boolean;
  /** Adds a bias [n] of f32, bound after C. */
  bias?: boolean;
  /** Parts of the inner dimension computed apart: C becomes [splits, m, n], to be summed. */
  splits?: number;
  /**
   * Sums over lists of rows of b instead of all of them (see `RowLists`; `nn` only), bound last as
   * `row_lists` and `row_counts`. They hold whole stages, filled up with any rows of b where a has
   * zeros, and one stage more behind the last of them.
   */
  lists?: Pick<RowLists, "blockRows" | "stride">;
  tile: MatmulTile;
  fragment: FragmentShape;
  subgroupSize: number;
}

/** A kernel's text and how to launch it. */
export interface TensorCoreKernel {
  /** Everything but extensions and bindings. */
  code: string;
  /** WGSL type of an element of C. */
  resultType: string;
  /** Workgroups to dispatch in x, y and z. */
  workgroups: [number, number, number];
}
