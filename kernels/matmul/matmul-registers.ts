import { numberType, vectorOf } from "../runtime/dispatch.ts";
import {
  type MatmulKernel,
  type MatrixProduct,
  type ProductPlaces,
  productPlaces,
} from "./product.ts";
import { range } from "../wgsl/range.ts";

/** Invocations of a workgroup, side by side along n: one SIMD register of a CPU core. */
const LANES = 8;
/** Rows of c an invocation holds. They are the same for the whole workgroup, so a load of `a` is one scalar load. */
const ROWS = 8;
/** Columns of c an invocation holds, each LANES from the next. */
const COLUMNS = 8;
/** Vectors of 4 columns an invocation holds where n is contiguous in `b`. */
const COLUMN_VECTORS = 4;

/**
 * The matrix product for software drivers: no barriers, no workgroup memory, everything in
 * registers, loads in vectors of 4 where the shape allows. Mesa's llvmpipe turns a load at an
 * address that the lanes do not share into one scalar load a lane, so vectors quarter their number.
 *
 * @param locate WGSL that declares the places of `productPlaces` where they are not the batch's own;
 *   the bounds of sums are multiples of 4, and all k in the layout `nt`
 */
export function registerKernel(product: MatrixProduct, locate?: string): MatmulKernel {
  return product.layout === "nt" ? alongK(product, locate) : alongN(product, locate);
}

/** Both operands hold k contiguously: vectors run along k. */
function alongK(
  { batch, m, n, k, accumulate, bias }: MatrixProduct,
  locate?: string,
): MatmulKernel {
  const places = productPlaces(k, locate !== undefined);
  const width = vectorOf(k);
  const type = numberType(width);
  const rows = range(ROWS);
  const columns = range(COLUMNS);
  const parts = width === 4 ? [".x", ".y", ".z", ".w"] : [""];
  const code = `
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_id) lane: vec3u, @builtin(workgroup_id) group: vec3u) {
  ${locate ?? ""}let row = group.y * ${ROWS}u;
  let column = group.x * ${LANES * COLUMNS}u + lane.x;
  ${
    rows.map((i) => `let a${i} = ${offset(places.a, m, k, `min(row + ${i}u, ${m - 1}u)`, width)};`)
      .join("\n  ")
  }
  ${
    columns.map((j) =>
      `let b${j} = ${offset(places.b, n, k, `min(column + ${j * LANES}u, ${n - 1}u)`, width)};`
    ).join("\n  ")
  }
  ${each(rows, columns, (i, j) => `var c${i}_${j} = 0f;`)}
  for (var k = 0u; k < ${k / width}u; k++) {
    ${rows.map((i) => `let x${i} = ${type}(a[a${i} + k]);`).join(" ")}
    ${columns.map((j) => `let y${j} = ${type}(b[b${j} + k]);`).join(" ")}
    ${
    parts.map((part) => each(rows, columns, (i, j) => `c${i}_${j} += x${i}${part} * y${j}${part};`))
      .join("\n    ")
  }
  }
  ${
    rows.map((i) =>
      `if (row + ${i}u < ${m}u) {
    ${
        columns.map((j) => {
          const at = `column + ${j * LANES}u`;
          const sum = `c${i}_${j}${bias ? ` + bias[group.z * ${n}u + ${at}]` : ""}`;
          const index = `(${places.c} * ${m}u + row + ${i}u) * ${n}u + ${at}`;
          return `if (${at} < ${n}u) { c[${index}] ${accumulate ? "+=" : "="} c_type(${sum}); }`;
        }).join("\n    ")
      }
  }`
    ).join("\n  ")
  }
}`;
  return {
    code,
    workgroups: [Math.ceil(n / (LANES * COLUMNS)), Math.ceil(m / ROWS), batch],
    vectors: { a: width, b: width, c: 1 },
  };
}

/** `b` holds n contiguously: vectors run along the columns of c. */
function alongN(
  { layout, batch, m, n, k, accumulate, bias }: MatrixProduct,
  locate?: string,
): MatmulKernel {
  const places = productPlaces(k, locate !== undefined);
  const width = vectorOf(n);
  const type = numberType(width);
  const columnsPerLane = width === 4 ? COLUMN_VECTORS : COLUMNS;
  const wide = n / width;
  const rows = range(ROWS);
  const columns = range(columnsPerLane);
  // A vector of `a` holds four k of one row (nn), or one k of four rows (tn).
  const widthA = vectorOf(layout === "nn" ? k : m);
  const depth = layout === "nn" ? widthA : 1;
  const product = (step: number) =>
    `{
      let line = (${places.b} * ${k}u + k + ${step}u) * ${wide}u;
      ${columns.map((j) => `let y${j} = ${type}(b[line + b${j}]);`).join(" ")}
      ${
      each(rows, columns, (i, j) => `c${i}_${j} += ${elementOfA(layout, widthA, i, step)} * y${j};`)
    }
    }`;
  const code = `
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_id) lane: vec3u, @builtin(workgroup_id) group: vec3u) {
  ${locate ?? ""}let row = group.y * ${ROWS}u;
  let column = group.x * ${LANES * columnsPerLane}u + lane.x;
  ${columns.map((j) => `let b${j} = min(column + ${j * LANES}u, ${wide - 1}u);`).join(" ")}
  ${each(rows, columns, (i, j) => `var c${i}_${j} = ${type}();`)}
  for (var k = ${places.firstK}; k < ${places.endK}; k += ${depth}u) {
    ${loadsOfA(layout, widthA, m, k, places).join(" ")}
    ${range(depth).map(product).join("\n    ")}
  }
  ${
    rows.map((i) =>
      `if (row + ${i}u < ${m}u) {
    ${
        columns.map((j) => {
          const at = `column + ${j * LANES}u`;
          const sum = `c${i}_${j}${bias ? ` + ${biasVector(n, at, width)}` : ""}`;
          const index = `(${places.c} * ${m}u + row + ${i}u) * ${wide}u + ${at}`;
          return `if (${at} < ${wide}u) { c[${index}] ${accumulate ? "+=" : "="} c_type(${sum}); }`;
        }).join("\n    ")
      }
  }`
    ).join("\n  ")
  }
}`;
  return {
    code,
    workgroups: [Math.ceil(wide / (LANES * columnsPerLane)), Math.ceil(m / ROWS), batch],
    vectors: { a: widthA, b: width, c: width },
  };
}

/** The rows of `a` that an invocation needs at `k`, clamped to the last one. */
function loadsOfA(
  layout: MatrixProduct["layout"],
  width: 1 | 4,
  m: number,
  k: number,
  { a }: ProductPlaces,
): string[] {
  const type = numberType(width);
  if (layout === "nn") {
    return range(ROWS).map((i) =>
      `let x${i} = ${type}(a[((${a} * ${m}u + min(row + ${i}u, ${
        m - 1
      }u)) * ${k}u + k) / ${width}u]);`
    );
  }
  return range(ROWS / width).map((i) =>
    `let x${i} = ${type}(a[((${a} * ${k}u + k) * ${m}u + min(row + ${i * width}u, ${
      m - width
    }u)) / ${width}u]);`
  );
}

function elementOfA(
  layout: MatrixProduct["layout"],
  width: 1 | 4,
  row: number,
  step: number,
): string {
  if (width === 1) return `x${row}`;
  return layout === "nn" ? `x${row}[${step}]` : `x${Math.floor(row / 4)}[${row % 4}]`;
}

function offset(batch: string, rows: number, k: number, row: string, width: number): string {
  return `(${batch} * ${rows}u + ${row}) * ${k / width}u`;
}

function biasVector(n: number, column: string, width: number): string {
  if (width === 1) return `bias[group.z * ${n}u + ${column}]`;
  const at = (part: number) => `bias[group.z * ${n}u + 4u * (${column}) + ${part}u]`;
  return `vec4f(${range(4).map(at).join(", ")})`;
}

function each(rows: number[], columns: number[], line: (i: number, j: number) => string): string {
  return rows.flatMap((i) => columns.map((j) => line(i, j))).join(" ");
}
