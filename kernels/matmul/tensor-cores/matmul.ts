import { type Binding, read, update, write } from "../../runtime/dispatch.ts";
import type { Graph, Tensor } from "../../runtime/graph.ts";
import {
  type MatrixOperands,
  type MatrixProduct,
  productFlops,
  type RowLists,
} from "../product.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "../../runtime/fragment.ts";
import { MATRIX_DIRECTIVES } from "../../wgsl/matrix-directives.ts";
import { tensorCoreMatmul } from "./matmul-text.ts";
import { MATMUL_TILES } from "./matmul-tile.ts";

/**
 * Fewer tiles than this leave multiprocessors idle at the end of a product: then the inner dimension
 * is split (on an H200, 1792 × 1792 × 16384 in 4 splits 343 TFLOP/s, 2 splits 289, 8 splits 330;
 * 4096 × 1792 × 151936 in 4 splits 284, 2 splits 266).
 */
const ENOUGH_TILES = 1350;
const MOST_SPLITS = 8;

/** Whether a product can be computed on tensor cores. */
export function fitsTensorCores(
  graph: Graph,
  { layout, batch, m, n, k, accumulate, bias }: MatrixProduct,
  { a, b, c }: MatrixOperands,
): boolean {
  // Whole vectors along every contiguous dimension, and along the one that is staged in slabs.
  const lengths = [n, k, layout === "tn" ? m : k];
  const addsToHalves = accumulate && c.dtype === "f16";
  return graph.capabilities.tensorCores && a.dtype === "f16" && b.dtype === "f16" &&
    !addsToHalves && !(batch > 1 && bias) && lengths.every((length) => length % 8 === 0);
}

/**
 * Records a product on tensor cores.
 *
 * @param lists the rows of b that it sums over, for `nn` without a bias; all when left out
 */
export function tensorCoreProduct(
  graph: Graph,
  label: string,
  product: MatrixProduct,
  operands: MatrixOperands,
  lists?: RowLists,
): void {
  const splits = splitsOf(product);
  if (splits === 1) return record(graph, label, product, operands, 1, lists);
  const { m, n } = product;
  const partial = graph.tensor(`${label}.partial`, [splits, m, n]);
  const plain = { ...product, accumulate: false };
  record(graph, label, plain, { ...operands, c: partial, sliceC: undefined }, splits, lists);
  const { c, sliceC } = operands;
  const target = product.accumulate ? update : write;
  const size = m * n / 4;
  graph.elementwise(
    `${label} sum`,
    size,
    { partial: read(partial, 4), c: target(c, 4, sliceC) },
    `var sum = partial[i];
    for (var part = 1u; part < ${splits}u; part++) { sum += partial[part * ${size}u + i]; }
    c[i] ${product.accumulate ? "+=" : "="} c_type(sum);`,
    4,
  );
}

function record(
  graph: Graph,
  label: string,
  product: MatrixProduct,
  { a, b, c, bias, sliceA, sliceB, sliceC }: MatrixOperands,
  splits: number,
  lists?: RowLists,
): void {
  const { layout, batch, m, n, k, accumulate, bias: hasBias } = product;
  const { code, resultType, workgroups } = tensorCoreMatmul({
    layout,
    batch,
    m,
    n,
    k,
    output: outputType(c),
    accumulate,
    bias: hasBias,
    splits,
    lists,
    tile: MATMUL_TILES[layout],
    fragment: FRAGMENT,
    subgroupSize: SUBGROUP_SIZE,
  });
  const as = (binding: Binding, type: string): Binding => ({ ...binding, type });
  graph.dispatch(
    label,
    {
      matrix_a: as(read(a, 4, sliceA), "vec4<u32>"),
      matrix_b: as(read(b, 4, sliceB), "vec4<u32>"),
      matrix_c: as((accumulate ? update : write)(c, 4, sliceC), resultType),
      ...(bias && { bias: read(bias, 4) }),
      ...(lists && { row_lists: read(lists.rows), row_counts: read(lists.counts) }),
    },
    code,
    workgroups,
    // How many columns are in lists is not known here.
    { directives: MATRIX_DIRECTIVES, flops: lists ? 0 : productFlops(product) },
  );
}

function outputType({ dtype }: Tensor): "f16" | "f32" {
  return dtype === "f16" ? "f16" : "f32";
}

function splitsOf({ layout, batch, m, n, k, bias }: MatrixProduct): number {
  const { rows, columns } = MATMUL_TILES[layout];
  const tiles = Math.ceil(m / rows) * Math.ceil(n / columns);
  if (bias || batch > 1) return 1;
  for (let splits = Math.min(MOST_SPLITS, Math.ceil(ENOUGH_TILES / tiles)); splits > 1; splits--) {
    // Each split has whole vectors, and enough of the inner dimension to be worth its sum.
    if (k % (8 * splits) === 0 && k / splits >= 1024) return splits;
  }
  return 1;
}
