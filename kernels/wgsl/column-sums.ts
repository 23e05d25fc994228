import { type Binding, numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { foldPartials } from "./row-reduction.ts";
import { unrolledLoop } from "./unrolled-loop.ts";

/** Rows that one invocation sums before the partial sums are added up. */
const ROWS = 64;
/** Columns of vectors, and partial sums of each, that a workgroup of a GPU adds up side by side. */
const COLUMNS = 8;
const LANES = 32;

/**
 * sums[column] += Σ over rows of x[row, column], in a fixed order: the gradient of a bias.
 *
 * @param x [rows, columns] f32 or f16
 * @param sums [columns] f32
 */
export function addColumnSums(x: Tensor, sums: Tensor): void {
  const [columns] = sums.shape;
  const vector = vectorOf(columns);
  sumColumns(x.graph, "column sums", { x: read(x, vector) }, {
    rows: x.size / columns,
    term: `x[row * ${columns / vector}u + column]`,
  }, sums);
}

/**
 * sums[column] += Σ over rows of a term, in a fixed order.
 *
 * @param term WGSL of a vector of columns, as wide as `vectorOf(columns)`; it may use `row` and
 *   `column`, the index of the vector
 * @param sums [columns] f32
 */
export function sumColumns(
  graph: Graph,
  label: string,
  bindings: Record<string, Binding>,
  { rows, term }: { rows: number; term: string },
  sums: Tensor,
): void {
  const [columns] = sums.shape;
  const parts = Math.ceil(rows / ROWS);
  const vector = vectorOf(columns);
  const wide = columns / vector;
  const partial = graph.tensor(`${sums.name}.partial`, [parts, columns]);
  const share = { first: "first", end: `min(first + ${ROWS}u, ${rows}u)` };
  graph.dispatch(
    label,
    { ...bindings, partial: write(partial, vector) },
    `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= ${wide}u) { return; }
  let first = id.y * ${ROWS}u;
  var sum = partial_type();
  ${
      unrolledLoop(
        graph.capabilities,
        "row",
        share,
        `sum += partial_type(${term});`,
      )
    }
  partial[id.y * ${wide}u + column] = sum;
}`,
    [Math.ceil(wide / 64), parts],
  );
  addPartialSums(partial, sums);
}

/**
 * sums[column] += Σ over parts of partial[part, column], in a fixed order.
 *
 * @param partial [parts, ...] f32
 * @param sums f32, of the size of a part
 * @param accumulate false to write the sums instead of adding them
 */
export function addPartialSums(partial: Tensor, sums: Tensor, accumulate = true): void {
  const graph = partial.graph;
  const [parts] = partial.shape;
  const columns = sums.size;
  const vector = vectorOf(columns);
  const wide = columns / vector;
  const lanes = graph.capabilities.cpu ? 1 : LANES;
  const all = { first: "lane", end: `${parts}u`, step: lanes };
  graph.dispatch(
    "add column sums",
    { partial: read(partial, vector), sums: (accumulate ? update : write)(sums, vector) },
    `
var<workgroup> subtotal: array<array<${numberType(vector)}, ${lanes}>, ${COLUMNS}>;

@compute @workgroup_size(${COLUMNS}, ${lanes})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.y;
  let column = group.x * ${COLUMNS}u + local.x;
  var sum = partial_type();
  if (column < ${wide}u) {
    ${unrolledLoop(graph.capabilities, "part", all, `sum += partial[part * ${wide}u + column];`)}
  }
  subtotal[local.x][lane] = sum;
  ${foldPartials(["subtotal[local.x]"], lanes)}
  if (lane == 0u && column < ${wide}u) {
    sums[column] ${accumulate ? "+=" : "="} subtotal[local.x][0];
  }
}`,
    [Math.ceil(wide / COLUMNS)],
  );
}
