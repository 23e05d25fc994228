import type { Slice } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/**
 * How the operands of c = a · b lie in memory, row-major; the sum runs over k.
 * - `nt`: c[m, n] = a[m, k] · b[n, k]ᵀ: a linear layer forward, weights stored [out, in].
 * - `nn`: c[m, n] = a[m, k] · b[k, n]: the gradient of its input.
 * - `tn`: c[m, n] = a[k, m]ᵀ · b[k, n]: the gradient of its weights.
 */
export type MatrixLayout = "nt" | "nn" | "tn";

/** A matrix product, or `batch` of them one behind the other in all three operands. */
export interface MatrixProduct {
  /** How the operands lie. */
  readonly layout: MatrixLayout;
  /** Number of products. */
  readonly batch: number;
  /** Rows of c. */
  readonly m: number;
  /** Columns of c. */
  readonly n: number;
  /** Terms of each sum. */
  readonly k: number;
  /** c += instead of c =. */
  readonly accumulate: boolean;
  /** A bias [batch, n] is added to every row. */
  readonly bias: boolean;
}

/** Multiplications and additions of all its products. */
export function productFlops({ batch, m, n, k }: MatrixProduct): number {
  return 2 * batch * m * n * k;
}

/** What a product reads and writes; slices are in elements. */
export interface MatrixOperands {
  /** f32 or f16. */
  readonly a: Tensor;
  /** Of the type of a. */
  readonly b: Tensor;
  /** Receives the product, f32 or f16. */
  readonly c: Tensor;
  /** [batch, n] f32. */
  readonly bias?: Tensor;
  /** The part of a tensor that is a. */
  readonly sliceA?: Slice;
  /** The part of a tensor that is b. */
  readonly sliceB?: Slice;
  /** The part of a tensor that is c. */
  readonly sliceC?: Slice;
}

/**
 * Rows of b that a product sums over, other ones for each block of rows of c: a block is the product
 * of the first columns of its rows of a, as many as its list is long, with the listed rows of b.
 */
export interface RowLists {
  /** u32: for each block `stride` places, of which the first are its list. */
  readonly rows: Tensor;
  /** [blocks] u32: lengths of the lists. */
  readonly counts: Tensor;
  /** Rows of c that share a list. */
  readonly blockRows: number;
  /** Places of a list. */
  readonly stride: number;
}

/** WGSL of where the operands of one product of a batch lie, in products, and of what its sums run over. */
export interface ProductPlaces {
  readonly a: string;
  readonly b: string;
  readonly c: string;
  readonly firstK: string;
  readonly endK: string;
}

/**
 * The places of product `group.z` of a batch: one behind the other, and sums over all k; or what a
 * kernel's beginning has declared as `batch_a`, `batch_b`, `batch_c`, `first_k` and `end_k`.
 */
export function productPlaces(k: number, isDeclared: boolean): ProductPlaces {
  return isDeclared
    ? { a: "batch_a", b: "batch_b", c: "batch_c", firstK: "first_k", endK: "end_k" }
    : { a: "group.z", b: "group.z", c: "group.z", firstK: "0u", endK: `${k}u` };
}

/** A kernel that computes a whole product in one dispatch. */
export interface MatmulKernel {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
  /** Width of the vectors through which each operand is bound. */
  readonly vectors: { a: 1 | 4; b: 1 | 4; c: 1 | 4 };
}
