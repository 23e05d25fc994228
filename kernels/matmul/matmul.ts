import { type Binding, read, update, write } from "../runtime/dispatch.ts";
import type { Graph } from "../runtime/graph.ts";
import { type MatrixOperands, type MatrixProduct, productFlops } from "./product.ts";
import { registerKernel } from "./matmul-registers.ts";
import { isSkinny, skinnyProduct } from "./matmul-skinny.ts";
import { fitsTensorCores, tensorCoreProduct } from "./tensor-cores/matmul.ts";
import { tiledKernel } from "./matmul-tiled.ts";

/** Up to so many rows of c, reading `b` takes most of the time: with tensor cores, and without. */
const FEW_ROWS = { tensorCores: 32, plain: 64 };

/**
 * Records one matrix product, summed in f32, by the variant of the kernel that suits the device and
 * the sizes. It records no gradient: `linear` does.
 */
export function matmul(
  graph: Graph,
  label: string,
  product: MatrixProduct,
  operands: MatrixOperands,
): void {
  const onTensorCores = fitsTensorCores(graph, product, operands);
  // For a few rows, tiles would leave most multiprocessors idle.
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
  graph.dispatch(label, bindings, code, workgroups, { flops: productFlops(product) });
}
