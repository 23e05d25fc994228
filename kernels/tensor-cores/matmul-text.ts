/*
 * Matrix products on tensor cores: f16 operands, f32 accumulation, as WGSL for a device with
 * `chromium-experimental-subgroup-matrix`. `kernels/README.md`, section "Products and attention on
 * tensor cores", has the measurements behind the structure.
 */

import type { Layout } from "../matmul.ts";
import { range } from "../range.ts";
import type { FragmentShape } from "./fragment.ts";
import { epilogueOf } from "./matmul-epilogue.ts";
import type { MatmulTile } from "./matmul-tile.ts";
import { HALVES, laneRow, type StagedTile, stagedTile } from "./staged-tile.ts";

/** What to multiply and how to store the result. */
export interface TensorCoreMatmul {
  layout: Layout;
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
  /** Workgroups to dispatch in x and y. */
  workgroups: [number, number];
}

/** Workgroups take tiles in bands of this many rows of tiles, so that a band's operands stay in L2. */
const BAND = 8;

const lines = (count: number, line: (i: number) => string) => range(count).map(line).join("\n");

/** Checks what the generated text takes for granted. */
function checkShape(options: TensorCoreMatmul): void {
  const { layout, m, n, k, tile, fragment, splits = 1 } = options;
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
  if (k % (splits * HALVES) !== 0) {
    throw new RangeError(`k = ${k} does not split into ${splits} parts of whole vectors`);
  }
  const fits = tile.rows % tile.subgroupRows === 0 &&
    tile.columns % tile.subgroupColumns === 0 &&
    tile.subgroupRows % fragment.m === 0 && tile.subgroupColumns % fragment.n === 0 &&
    tile.depth % fragment.k === 0;
  if (!fits) throw new RangeError("the tile is not made of whole fragments");
}

/**
 * WGSL for one matrix product. Bindings: `matrix_a`, `matrix_b` (f16, as `vec4<u32>`), `matrix_c`
 * (as `resultType`), then `bias` (as `vec4<f32>`) where there is one. Every size works whose
 * contiguous dimensions are multiples of 8; rows past the end are read as the last one and never
 * stored, and the inner dimension is filled up with zeros.
 *
 * @throws RangeError where a size or a tile cannot be built.
 */
export function tensorCoreMatmul(options: TensorCoreMatmul): TensorCoreKernel {
  checkShape(options);
  const { layout, m, n, k, tile, fragment, subgroupSize, splits = 1 } = options;
  const { rows, columns, depth, subgroupRows, subgroupColumns, buffers } = tile;
  const subgroupsAcross = columns / subgroupColumns;
  const lanes = subgroupSize * (rows / subgroupRows) * subgroupsAcross;
  const strideA = layout === "tn" ? m : k;
  const strideB = layout === "nt" ? k : n;
  const a = stagedTile("a", rows, depth, layout !== "tn", lanes);
  const b = stagedTile("b", columns, depth, layout === "nt", lanes);
  const down = range(subgroupRows / fragment.m);
  const along = range(subgroupColumns / fragment.n);
  const steps = depth / fragment.k;
  const inner = k / splits;
  const stages = Math.ceil(inner / depth);
  const tilesDown = Math.ceil(m / rows), tilesAcross = Math.ceil(n / columns);
  const partialStage = inner % depth !== 0;

  const left = `subgroup_matrix_left<f16, ${fragment.k}, ${fragment.m}>`;
  const right = `subgroup_matrix_right<f16, ${fragment.n}, ${fragment.k}>`;
  const result = `subgroup_matrix_result<f32, ${fragment.n}, ${fragment.m}>`;

  const aBase = (buffer: number) => buffer * (a.size + b.size);
  const bBase = (buffer: number) => aBase(buffer) + a.size;

  /** Statements that read the next stage of one operand into registers and move on. */
  const fetch = (t: StagedTile) => {
    const stride = (t.name === "a" ? strideA : strideB) / HALVES;
    const clamped = t.innerContiguous && (t.name === "a" ? m % rows : n % columns) !== 0;
    const loads = lines(t.vectorsPerLane, (i) => {
      const at = clamped
        ? `${t.name}_at + ${t.name}_skip_${i}`
        : `${t.name}_at + ${i * t.rowStep * stride}u`;
      const load = `${t.name}_${i} = matrix_${t.name}[${at}];`;
      if (!partialStage) return `      ${load}`;
      const position = t.innerContiguous
        ? `inner + ${t.name}_column * ${HALVES}u`
        : `inner + ${t.name}_row + ${i * t.rowStep}u`;
      return `      ${t.name}_${i} = vec4<u32>();\n      if (${position} < ${inner}u) { ${load} }`;
    });
    const advance = t.innerContiguous ? depth / HALVES : depth * stride;
    return `${loads}\n      ${t.name}_at += ${advance}u;`;
  };
  const clear = (t: StagedTile) =>
    lines(t.vectorsPerLane, (i) => `      ${t.name}_${i} = vec4<u32>();`);
  // Two buffers multiply an even number of stages: one past the end must read as zeros.
  const fetchStage = `    if (inner < ${inner}u) {
${fetch(a)}
${fetch(b)}
    }${buffers === 2 ? ` else {\n${clear(a)}\n${clear(b)}\n    }` : ""}
    inner += ${depth}u;`;

  /** Statements that put the registers of one stage into workgroup memory. */
  const put = (t: StagedTile, base: number) =>
    lines(
      t.vectorsPerLane,
      (i) =>
        `    staged[${t.name}_slot + ${
          base + i * t.rowStep * t.pitch / HALVES
        }u] = ${t.name}_${i};`,
    );
  const putStage = (buffer: number) => `${put(a, aBase(buffer))}\n${put(b, bBase(buffer))}`;

  /** The load of the fragment that starts `outer` rows or columns into the subgroup's part. */
  const loadFragment = (t: StagedTile, base: number, outer: number, step: number) => {
    const offset = t.innerContiguous
      ? outer * t.pitch + step * fragment.k
      : step * fragment.k * t.pitch + outer;
    const majorness = (t.name === "a") === t.innerContiguous ? "row_major" : "col_major";
    return `subgroupMatrixLoad<${t.name === "a" ? left : right}, ${majorness}>(&staged, ` +
      `${t.name}_fragment + ${base + offset / HALVES}u, ${t.pitch / HALVES}u)`;
  };
  const loadStep = (buffer: number, step: number, set: number) =>
    [
      ...down.map((i) =>
        `    left_${set}_${i} = ${loadFragment(a, aBase(buffer), i * fragment.m, step)};`
      ),
      ...along.map((j) =>
        `    right_${set}_${j} = ${loadFragment(b, bBase(buffer), j * fragment.n, step)};`
      ),
    ].join("\n");
  const multiplyStep = (set: number) =>
    down.flatMap((i) =>
      along.map((j) =>
        `    sum_${i}_${j} = subgroupMatrixMultiplyAccumulate(left_${set}_${i}, ` +
        `right_${set}_${j}, sum_${i}_${j});`
      )
    ).join("\n");

  // One buffer: the next stage is on its way into registers while this one is multiplied.
  const singleBuffered = () =>
    `${fetchStage}
  for (var stage = 0u; stage < ${stages}u; stage++) {
${putStage(0)}
    workgroupBarrier();
${fetchStage}
${lines(steps, (step) => `${loadStep(0, step, 0)}\n${multiplyStep(0)}`)}
    workgroupBarrier();
  }`;

  // Two buffers: one barrier a stage, and every subgroup leaves it with the fragments of its next
  // multiplications already in registers.
  const doubleBuffered = () => {
    const stageOf = (buffer: number) =>
      range(steps).map((step) => {
        const now = (buffer * steps + step) % 2, next = 1 - now;
        const load = step < steps - 1 ? loadStep(buffer, step + 1, next) : `${putStage(1 - buffer)}
    workgroupBarrier();
${fetchStage}
${loadStep(1 - buffer, 0, next)}`;
        return `${load}\n${multiplyStep(now)}`;
      }).join("\n");
    return `${fetchStage}
${putStage(0)}
  workgroupBarrier();
${fetchStage}
${loadStep(0, 0, 0)}
  for (var pair = 0u; pair < ${Math.ceil(stages / 2)}u; pair++) {
${stageOf(0)}
${stageOf(1)}
  }`;
  };

  const position = (t: StagedTile, first: string, size: number, stride: number) => {
    const tileSize = t.name === "a" ? rows : columns;
    const edge = size % tileSize !== 0;
    const start = t.innerContiguous
      ? edge
        ? "inner_start / 8u"
        : `(${first} + ${t.name}_row) * ${stride / HALVES}u + inner_start / 8u`
      : `(inner_start + ${t.name}_row) * ${stride / HALVES}u`;
    const column = t.innerContiguous || !edge
      ? `${t.name}_column`
      : `min(${t.name}_column, ${size / HALVES - 1}u - ${first} / ${HALVES}u)`;
    const across = t.innerContiguous ? "" : ` + ${first} / ${HALVES}u`;
    const skips = t.innerContiguous && edge
      ? "\n" + lines(
        t.vectorsPerLane,
        (i) =>
          `  let ${t.name}_skip_${i} = min(${first} + ${t.name}_row + ${i * t.rowStep}u, ` +
          `${size - 1}u) * ${stride / HALVES}u;`,
      )
      : "";
    return `  let ${t.name}_row = ${laneRow(t)};
  let ${t.name}_column = lane % ${t.vectorsPerRow}u;
  var ${t.name}_at = ${start} + ${column}${across};
  let ${t.name}_slot = ${t.name}_row * ${t.pitch / HALVES}u + ${t.name}_column;${skips}`;
  };

  const sets = range(buffers);
  const epilogue = epilogueOf(options);
  const vectors = Math.max(aBase(buffers), epilogue.vectors);
  const declare = (name: string, type: string) => `  var ${name}: ${type};`;

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
  let inner_start = workgroup.y * ${inner}u;
  var inner = 0u;
${position(a, "first_row", m, strideA)}
${position(b, "first_column", n, strideB)}
  let a_fragment = row * ${a.innerContiguous ? a.pitch : 1}u / ${HALVES}u;
  let b_fragment = column * ${b.innerContiguous ? b.pitch : 1}u / ${HALVES}u;
${lines(a.vectorsPerLane, (i) => declare(`a_${i}`, "vec4<u32>"))}
${lines(b.vectorsPerLane, (i) => declare(`b_${i}`, "vec4<u32>"))}
${sets.flatMap((s) => down.map((i) => declare(`left_${s}_${i}`, left))).join("\n")}
${sets.flatMap((s) => along.map((j) => declare(`right_${s}_${j}`, right))).join("\n")}
${down.flatMap((i) => along.map((j) => declare(`sum_${i}_${j}`, result))).join("\n")}
${epilogue.before}
${buffers === 1 ? singleBuffered() : doubleBuffered()}
${epilogue.after}
}`;
  return { code, resultType: epilogue.element, workgroups: [tilesDown * tilesAcross, splits] };
}
