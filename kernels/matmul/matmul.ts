import { type Binding, type Graph, read, type Slice, update, write } from "../runtime/graph.ts";
import { registerKernel } from "./matmul-registers.ts";
import { isSkinny, skinnyProduct } from "./matmul-skinny.ts";
import { fitsTensorCores, tensorCoreProduct } from "./tensor-cores/matmul.ts";
import { tiledKernel } from "./matmul-tiled.ts";
import type { Tensor } from "../runtime/tensor.ts";

/**
 * How the operands lie in memory, row-major; the sum runs over k.
 * - `nt`: c[m, n] = a[m, k] · b[n, k]ᵀ: a linear layer forward, weights stored [out, in].
 * - `nn`: c[m, n] = a[m, k] · b[k, n]: the gradient of its input.
 * - `tn`: c[m, n] = a[k, m]ᵀ · b[k, n]: the gradient of its weights.
 */
export type Layout = "nt" | "nn" | "tn";

/** A product, or `batch` of them one behind the other in all three operands. */
export interface Product {
  readonly layout: Layout;
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** c += instead of c =. */
  readonly accumulate: boolean;
  /** A bias [batch, n] is added to every row. */
  readonly bias: boolean;
}

/** What a variant of the kernel makes of a product. */
export interface MatmulKernel {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
  /** Width of the vectors through which each operand is bound. */
  readonly vectors: { a: 1 | 4; b: 1 | 4; c: 1 | 4 };
}

/** Operands of one recorded product; slices are in elements. */
export interface Operands {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly c: Tensor;
  readonly bias?: Tensor;
  readonly sliceA?: Slice;
  readonly sliceB?: Slice;
  readonly sliceC?: Slice;
}

/** Rows of c up to which reading `b` is all there is to it: beside tensor cores, and without. */
const FEW_ROWS = { tensorCores: 32, plain: 64 };

/** Records one matrix product, accumulated in f32. */
export function matmul(graph: Graph, label: string, product: Product, operands: Operands): void {
  const onTensorCores = fitsTensorCores(graph, product, operands);
  // Tiles would leave most multiprocessors idle over a few rows.
  const few = FEW_ROWS[onTensorCores ? "tensorCores" : "plain"];
  if (!graph.capabilities.cpu && isSkinny(product, few)) {
    return skinnyProduct(graph, label, product, operands);
  }
  if (onTensorCores) return tensorCoreProduct(graph, label, product, operands);
  const { a, b, c, bias, sliceA, sliceB, sliceC } = operands;
  // Barriers and workgroup memory cost a software driver more than they save.
  const variant = graph.capabilities.cpu ? registerKernel : tiledKernel;
  const { code, workgroups, vectors } = variant(product);
  const target = product.accumulate ? update : write;
  const bindings: Record<string, Binding> = {
    a: read(a, vectors.a, sliceA),
    b: read(b, vectors.b, sliceB),
    c: target(c, vectors.c, sliceC),
  };
  if (bias) bindings.bias = read(bias);
  graph.dispatch(label, bindings, code, workgroups);
}
