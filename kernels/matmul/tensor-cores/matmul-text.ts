/*
 * Matrix products on tensor cores: f16 operands, f32 accumulation, as WGSL for a device with
 * `chromium-experimental-subgroup-matrix`. `kernels/README.md`, section "Products and attention on
 * tensor cores", has the measurements behind the structure.
 */

import { range } from "../../wgsl/range.ts";
import { innerPart } from "./matmul-inner.ts";
import { epilogueOf } from "./matmul-epilogue.ts";
import { doubleBuffered, singleBuffered } from "./matmul-loop.ts";
import type { TensorCoreKernel, TensorCoreMatmul } from "./matmul-kernel.ts";
import { StagedOperand } from "./staged-operand.ts";
import { HALVES, stagedTile } from "./staged-tile.ts";

/** Workgroups take tiles in bands of this many rows of tiles, so that a band's operands stay in L2. */
const BAND = 8;

const lines = (statements: string[]) => statements.join("\n");

/** Checks what the generated text takes for granted. */
function checkShape(options: TensorCoreMatmul): void {
  const { layout, batch = 1, m, n, k, tile, fragment, splits = 1, lists } = options;
  const contiguous: [string, number][] = [
    layout === "tn" ? ["m", m] : ["k", k],
    layout === "nt" ? ["k", k] : ["n", n],
    ["n", n],
  ];
  for (const [name, size] of contiguous) {
    if (size % HALVES !== 0) throw new RangeError(`${name} = ${size} is not a multiple of 8`);
  }
  if (options.accumulate && options.output !== "f32") {
    throw new RangeError("only an f32 result can be accumulated");
  }
  if (splits > 1 && (options.bias || options.accumulate || options.output !== "f32")) {
    throw new RangeError("partial products are stored as plain f32");
  }
  if (batch > 1 && (options.bias || splits > 1)) {
    throw new RangeError("a batch of products has no bias and no splits");
  }
  if (k % (splits * HALVES) !== 0) {
    throw new RangeError(`k = ${k} does not split into ${splits} parts of whole vectors`);
  }
  const fits = tile.rows % tile.subgroupRows === 0 &&
    tile.columns % tile.subgroupColumns === 0 &&
    tile.subgroupRows % fragment.m === 0 && tile.subgroupColumns % fragment.n === 0 &&
    tile.depth % fragment.k === 0;
  if (!fits) throw new RangeError("the tile is not made of whole fragments");
  if (!lists) return;
  if (layout !== "nn" || tile.buffers !== 1 || tile.depth !== options.subgroupSize) {
    throw new RangeError("lists of rows need nn, one buffer, and a lane for each row of a stage");
  }
  if (lists.blockRows % tile.rows !== 0 || lists.stride % tile.depth !== 0) {
    throw new RangeError("lists of rows are for whole tiles, and of whole stages");
  }
}

/**
 * WGSL for one matrix product. Bindings: `matrix_a`, `matrix_b` (f16, as `vec4<u32>`), `matrix_c`
 * (as `resultType`), then `bias` (as `vec4<f32>`) where there is one, then `row_lists` and
 * `row_counts` where there are lists. Every size works whose contiguous dimensions are multiples of
 * 8; rows past the end are read as the last one and never stored, and the inner dimension is filled
 * up with zeros.
 *
 * @throws RangeError where a size or a tile cannot be built.
 */
export function tensorCoreMatmul(options: TensorCoreMatmul): TensorCoreKernel {
  checkShape(options);
  const { layout, batch = 1, m, n, k, tile, fragment, subgroupSize, splits = 1, lists } = options;
  const { rows, columns, depth, subgroupRows, subgroupColumns, buffers } = tile;
  const subgroupsAcross = columns / subgroupColumns;
  const lanes = subgroupSize * (rows / subgroupRows) * subgroupsAcross;
  const inner = lists ? k : k / splits;
  const part = innerPart(options);
  const apart = (size: number) => batch > 1 ? size : 0;
  const a = new StagedOperand(
    stagedTile("a", rows, depth, layout !== "tn", lanes),
    { size: m, stride: layout === "tn" ? m : k, inner, first: "first_row", apart: apart(m * k) },
  );
  const b = new StagedOperand(
    stagedTile("b", columns, depth, layout === "nt", lanes),
    {
      ...{ size: n, stride: layout === "nt" ? k : n, inner },
      ...{ first: "first_column", apart: apart(n * k), listedRow: part.listedRow },
    },
  );
  const aBase = (buffer: number) => buffer * (a.size + b.size);
  const bBase = (buffer: number) => aBase(buffer) + a.size;

  const left = `subgroup_matrix_left<f16, ${fragment.k}, ${fragment.m}>`;
  const right = `subgroup_matrix_right<f16, ${fragment.n}, ${fragment.k}>`;
  const result = `subgroup_matrix_result<f32, ${fragment.n}, ${fragment.m}>`;
  const down = range(subgroupRows / fragment.m);
  const along = range(subgroupColumns / fragment.n);
  const load = (buffer: number, step: number, set: number) =>
    lines([
      ...down.map((i) =>
        `    left_${set}_${i} = ` +
        `${a.loadFragment(left, fragment, aBase(buffer), i * fragment.m, step)};`
      ),
      ...along.map((j) =>
        `    right_${set}_${j} = ` +
        `${b.loadFragment(right, fragment, bBase(buffer), j * fragment.n, step)};`
      ),
    ]);
  const multiply = (set: number) =>
    lines(
      down.flatMap((i) =>
        along.map((j) =>
          `    sum_${i}_${j} = subgroupMatrixMultiplyAccumulate(left_${set}_${i}, ` +
          `right_${set}_${j}, sum_${i}_${j});`
        )
      ),
    );
  const pastTheEnd = buffers === 2 ? ` else {\n${a.clear()}\n${b.clear()}\n    }` : "";
  const stages = {
    stages: part.stages,
    steps: depth / fragment.k,
    fetch: `    if (inner < ${part.end}) {
${a.fetch()}
${b.fetch()}
${part.ahead}
    }${pastTheEnd}
    inner += ${depth}u;`,
    put: (buffer: number) => `${a.put(aBase(buffer))}\n${b.put(bBase(buffer))}`,
    load,
    multiply,
  };

  const sets = range(buffers);
  const tilesDown = Math.ceil(m / rows), tilesAcross = Math.ceil(n / columns);
  const epilogue = epilogueOf(options);
  const vectors = Math.max(aBase(buffers), epilogue.vectors);
  const code = `
var<workgroup> staged: array<vec4<u32>, ${vectors}>;

@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let band = workgroup.x / ${BAND * tilesAcross}u;
  let in_band = workgroup.x % ${BAND * tilesAcross}u;
  let band_rows = min(${BAND}u, ${tilesDown}u - band * ${BAND}u);
  let first_row = (band * ${BAND}u + in_band % band_rows) * ${rows}u;
  let first_column = (in_band / band_rows) * ${columns}u;
  let row = (subgroup / ${subgroupsAcross}u) * ${subgroupRows}u;
  let column = (subgroup % ${subgroupsAcross}u) * ${subgroupColumns}u;
${part.begin}
${a.position()}
${b.position()}
${a.fragmentStart("row")}
${b.fragmentStart("column")}
${a.registers()}
${b.registers()}
${lines(sets.flatMap((set) => down.map((i) => `  var left_${set}_${i}: ${left};`)))}
${lines(sets.flatMap((set) => along.map((j) => `  var right_${set}_${j}: ${right};`)))}
${lines(down.flatMap((i) => along.map((j) => `  var sum_${i}_${j}: ${result};`)))}
${epilogue.before}
${buffers === 1 ? singleBuffered(stages) : doubleBuffered(stages)}
${epilogue.after}
}`;
  return {
    code,
    resultType: epilogue.element,
    workgroups: [tilesDown * tilesAcross, splits, batch],
  };
}
