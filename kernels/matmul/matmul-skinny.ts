import { read, update, write } from "../runtime/dispatch.ts";
import type { Graph } from "../runtime/graph.ts";
import type { MatrixOperands, MatrixProduct } from "./product.ts";
import { range } from "../wgsl/range.ts";
import { unrolledLoop } from "../wgsl/unrolled-loop.ts";

/** Rows of c that a workgroup computes. */
const ROWS = 16;
const LANES = 64;
/**
 * Banks of workgroup memory. Each element's sums are stored in their own order, so that lanes read
 * different banks. They are added in the plain order, so that a row's place in `a` changes no bit.
 */
const BANKS = 32;
/** Columns of c that a workgroup computes where k is contiguous in `b`. */
const COLUMNS = 4;
/** Inner dimension that a workgroup sums where n is contiguous in `b`. */
const DEPTH = 64;

/**
 * Whether c has so few rows that reading `b` takes most of the time, as with experts on their slots
 * or with a few texts that are continued.
 *
 * @param most up to so many rows, tiles are not faster
 */
export function isSkinny({ layout, m, n, k, bias }: MatrixProduct, most: number): boolean {
  const known = layout === "nt" || layout === "nn" && !bias;
  return known && m <= most && k % 4 === 0 && n % 4 === 0;
}

/** Records a product with few rows: `b` is read once for 16 rows, with enough loads in flight. */
export function skinnyProduct(
  graph: Graph,
  label: string,
  product: MatrixProduct,
  operands: MatrixOperands,
): void {
  if (product.layout === "nt") alongK(graph, label, product, operands);
  else alongN(graph, label, product, operands);
}

/** The lanes of a workgroup share the inner dimension of a few columns, then add up their sums. */
function alongK(
  graph: Graph,
  label: string,
  { batch, m, n, k, accumulate, bias: hasBias }: MatrixProduct,
  { a, b, c, bias, sliceA, sliceB, sliceC }: MatrixOperands,
): void {
  const { groups, rows, row } = rowGroups(m);
  const columns = range(COLUMNS);
  const sums = rows.flatMap((i) => columns.map((j) => ({ i, j, at: i * COLUMNS + j })));
  const wide = k / 4;
  graph.dispatch(
    label,
    {
      a: read(a, 4, sliceA),
      b: read(b, 4, sliceB),
      c: (accumulate ? update : write)(c, 1, sliceC),
      ...(hasBias && { bias: read(bias!) }),
    },
    `
var<workgroup> partial: array<f32, ${sums.length * LANES}>;

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * ${COLUMNS}u;
  let first = group.z * ${rows.length}u;
  ${sums.map(({ at }) => `var sum${at} = 0f;`).join(" ")}
  for (var k = lane; k < ${wide}u; k += ${LANES}u) {
    ${
      columns.map((j) => `let y${j} = vec4f(b[(group.y * ${n}u + column + ${j}u) * ${wide}u + k]);`)
        .join("\n    ")
    }
    ${
      rows.map((i) =>
        `{ let x = vec4f(a[(group.y * ${m}u + ${row(i)}) * ${wide}u + k]); ${
          columns.map((j) => `sum${i * COLUMNS + j} += dot(x, y${j});`).join(" ")
        } }`
      ).join("\n    ")
    }
  }
  ${sums.map(({ at }) => `partial[${at * LANES}u + (lane ^ ${at % BANKS}u)] = sum${at};`).join(" ")}
  workgroupBarrier();
  let row = first + lane / ${COLUMNS}u;
  if (lane < ${sums.length}u && row < ${m}u) {
    var sum = 0f;
    for (var i = 0u; i < ${LANES}u; i++) {
      sum += partial[lane * ${LANES}u + (i ^ (lane % ${BANKS}u))];
    }
    let at = column + lane % ${COLUMNS}u;
    c[(group.y * ${m}u + row) * ${n}u + at] ${accumulate ? "+=" : "="}
      c_type(sum${hasBias ? ` + bias[group.y * ${n}u + at]` : ""});
  }
}`,
    [n / COLUMNS, batch, groups],
  );
}

/** The lanes lie along n; workgroups share the inner dimension, and their sums are added up. */
function alongN(
  graph: Graph,
  label: string,
  { batch, m, n, k, accumulate }: MatrixProduct,
  { a, b, c, sliceA, sliceB, sliceC }: MatrixOperands,
): void {
  const { groups, rows, row } = rowGroups(m);
  const splits = Math.ceil(k / DEPTH);
  const wide = n / 4;
  const quads = {
    first: `id.z * ${DEPTH / 4}u`,
    end: `min(id.z * ${DEPTH / 4}u + ${DEPTH / 4}u, ${k / 4}u)`,
  };
  const partial = graph.tensor(`${label}.partial`, [splits, batch, m, n]);
  graph.dispatch(
    label,
    { a: read(a, 4, sliceA), b: read(b, 4, sliceB), partial: write(partial, 4) },
    `
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${wide}u) { return; }
  let batch = id.y / ${groups}u;
  let first = id.y % ${groups}u * ${rows.length}u;
  ${rows.map((i) => `var sum${i} = vec4f();`).join(" ")}
  ${
      unrolledLoop(
        graph.capabilities,
        "quad",
        { ...quads, turns: 2 },
        `${
          range(4).map((j) =>
            `let y${j} = vec4f(b[(batch * ${k}u + quad * 4u + ${j}u) * ${wide}u + id.x]);`
          ).join(" ")
        }
      ${
          rows.map((i) =>
            `{ let x = vec4f(a[(batch * ${m}u + ${row(i)}) * ${k / 4}u + quad]); ${
              range(4).map((j) => `sum${i} += x[${j}] * y${j};`).join(" ")
            } }`
          ).join("\n      ")
        }`,
      )
    }
  ${
      rows.map((i) =>
        `partial[((id.z * ${batch}u + batch) * ${m}u + ${row(i)}) * ${wide}u + id.x] = sum${i};`
      ).join("\n  ")
    }
}`,
    [Math.ceil(wide / LANES), batch * groups, splits],
  );
  const size = batch * m * wide;
  graph.elementwise(
    `${label} sum`,
    size,
    { partial: read(partial, 4), c: (accumulate ? update : write)(c, 4, sliceC) },
    `var sum = partial[i];
    ${
      unrolledLoop(
        graph.capabilities,
        "part",
        { first: "1u", end: `${splits}u`, turns: 8 },
        `sum += partial[part * ${size}u + i];`,
      )
    }
    c[i] ${accumulate ? "+=" : "="} c_type(sum);`,
    4,
  );
}

/** Workgroups share the rows; the last may compute its last row more than once. */
function rowGroups(m: number): { groups: number; rows: number[]; row: (i: number) => string } {
  const groups = Math.ceil(m / ROWS);
  const rows = Math.ceil(m / groups);
  const row = (i: number) =>
    groups * rows > m ? `min(first + ${i}u, ${m - 1}u)` : `(first + ${i}u)`;
  return { groups, rows: range(rows), row };
}
