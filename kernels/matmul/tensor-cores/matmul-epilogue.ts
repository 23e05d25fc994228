import { range } from "../../wgsl/range.ts";
import type { TensorCoreMatmul } from "./matmul-kernel.ts";
import { HALVES } from "./staged-tile.ts";

/** How sums leave the registers: the element type bound as C, and what runs around the loop. */
interface Epilogue {
  element: string;
  before: string;
  after: string;
  /** 16-byte vectors of workgroup memory it needs. */
  vectors: number;
}

/**
 * The epilogue of a product. C is added last: loaded into the sums beforehand, head dW ran at 209
 * TFLOP/s instead of 318.
 */
export function epilogueOf(options: TensorCoreMatmul): Epilogue {
  const { m, n, output, bias, accumulate, fragment } = options;
  const direct = output === "f32" && !bias && !accumulate &&
    m % fragment.m === 0 && n % fragment.n === 0;
  return direct ? directEpilogue(options) : stagedEpilogue(options);
}

/** Which matrix of C a workgroup writes: of a batch, or of the parts of one product. */
function matrixOf({ batch = 1 }: TensorCoreMatmul): string {
  return batch > 1 ? "workgroup.z" : "workgroup.y";
}

/** Whole fragments stored straight from the registers. */
function directEpilogue(options: TensorCoreMatmul): Epilogue {
  const { m, n, tile, fragment } = options;
  const guarded = m % tile.rows !== 0 || n % tile.columns !== 0;
  const blocks = (statement: (i: number, j: number, at: string) => string) =>
    range(tile.subgroupRows / fragment.m).flatMap((i) =>
      range(tile.subgroupColumns / fragment.n).map((j) => {
        const text = statement(i, j, `c_at + ${i * fragment.m * n + j * fragment.n}u`);
        if (!guarded) return `  ${text}`;
        return `  if (first_row + row + ${i * fragment.m}u < ${m}u && ` +
          `first_column + column + ${j * fragment.n}u < ${n}u) { ${text} }`;
      })
    ).join("\n");
  const at = `  let c_at = ${matrixOf(options)} * ${m * n}u + (first_row + row) * ${n}u + ` +
    `first_column + column;\n`;
  const store = (i: number, j: number, to: string) =>
    `subgroupMatrixStore<row_major>(&matrix_c, ${to}, sum_${i}_${j}, ${n}u);`;
  return {
    element: "f32",
    before: at,
    after: blocks(store),
    vectors: 0,
  };
}

/** Sums passed through workgroup memory, for f16 results, biases and ragged edges. */
function stagedEpilogue(options: TensorCoreMatmul): Epilogue {
  const { m, n, tile, fragment, subgroupSize, output, accumulate, bias } = options;
  const { batch = 1, splits = 1 } = options;
  const fragmentsAlong = tile.subgroupColumns / fragment.n;
  const together = fragmentsAlong % 2 === 0 ? 2 : 1;
  const width = together * fragment.n;
  const pitch = width / 4 + 1; // in vectors of four f32, one more against bank conflicts
  const subgroups = (tile.rows / tile.subgroupRows) * (tile.columns / tile.subgroupColumns);
  const eights = fragment.m * width / HALVES;
  const perLane = Math.ceil(eights / subgroupSize);
  const scale = output === "f16" ? HALVES : 4;
  const from = (half: number) =>
    `bitcast<vec4<f32>>(staged[scratch + (eight / ${width / 8}u) * ${pitch}u + ` +
    `(eight % ${width / 8}u) * 2u + ${half}u])`;
  const finish = output === "f16"
    ? `matrix_c[at] = vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), ` +
      `pack2x16float(high.xy), pack2x16float(high.zw));`
    : accumulate
    ? "matrix_c[at] += low; matrix_c[at + 1u] += high;"
    : "matrix_c[at] = low; matrix_c[at + 1u] = high;";
  const strips = range(tile.subgroupRows / fragment.m).flatMap((i) =>
    range(fragmentsAlong / together).map((c) =>
      `
  workgroupBarrier();
${
        range(together).map((t) =>
          `  subgroupMatrixStore<row_major>(&staged, scratch + ${t * fragment.n / 4}u, ` +
          `sum_${i}_${c * together + t}, ${pitch}u);`
        ).join("\n")
      }
  workgroupBarrier();
  for (var part = 0u; part < ${perLane}u; part++) {
    let eight = part * ${subgroupSize}u + subgroup_lane;
    let c_row = first_row + row + ${i * fragment.m}u + eight / ${width / HALVES}u;
    let c_column = first_column + column + ${c * width}u + (eight % ${width / HALVES}u) * 8u;
    if (eight < ${eights}u && c_row < ${m}u && c_column < ${n}u) {
      var low = ${from(0)};
      var high = ${from(1)};
${
        bias
          ? "      low += bias[c_column / 4u];\n      high += bias[c_column / 4u + 1u];\n"
          : ""
      }      let at = (${matrixOf(options)} * ${splits * batch > 1 ? m : 0}u + c_row) * ${
        n / scale
      }u + ` +
      `c_column / ${scale}u;
      ${finish}
    }
  }`
    )
  ).join("");
  return {
    element: output === "f16" ? "vec4<u32>" : "vec4<f32>",
    before: `  let scratch = subgroup * ${fragment.m * pitch}u;`,
    after: strips,
    vectors: subgroups * fragment.m * pitch,
  };
}
