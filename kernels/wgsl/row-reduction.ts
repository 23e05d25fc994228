import { type Binding, numberType, type Vector } from "../runtime/dispatch.ts";
import type { Graph } from "../runtime/graph.ts";
import { unrolledLoop } from "./unrolled-loop.ts";

export interface RowReduction {
  readonly rows: number;
  /** Elements of a row. */
  readonly width: number;
  /** Vectors through which the row is seen; divides the width. */
  readonly vector?: Vector;
  /**
   * Name of each sum over the row and its term, a `number` (f32, or the vector of it); terms may use
   * `row`, `column` and `at`, the indices of the vector.
   */
  readonly sums: Record<string, string>;
  /** Statements once the sums are known; `lane` is 0 for one invocation of a row. */
  readonly between: string;
  /** Statement for every vector of the row. */
  readonly each?: string;
}

/** Rows that a workgroup of a GPU sums side by side, and lanes of each. */
const ROWS = 8;
const LANES = 32;

/** Records a kernel that sums over each row and then writes the row. */
export function reduceRows(
  graph: Graph,
  label: string,
  bindings: Record<string, Binding>,
  { rows, width, vector = 1, sums, between, each }: RowReduction,
): void {
  const { cpu } = graph.capabilities;
  const steps = width / vector;
  // Where a row is read again to be written, few rows at a time keep it in the cache till then.
  const together = cpu || each || rows % ROWS > 0 ? 1 : ROWS;
  // A software driver runs a workgroup on one core: there, one SIMD register of lanes is enough.
  const lanes = cpu ? 8 : together > 1 ? LANES : Math.min(256, 32 * Math.ceil(steps / 96));
  const names = Object.keys(sums);
  const everyVector = (statements: string) =>
    unrolledLoop(
      graph.capabilities,
      "column",
      { first: "lane", end: `${steps}u`, step: lanes },
      `let at = row * ${steps}u + column; ${statements}`,
    );
  const forEachSum = (text: (name: string) => string) => names.map(text).join("\n  ");
  graph.dispatch(
    label,
    bindings,
    `
alias number = ${numberType(vector)};
alias partials = array<array<f32, ${lanes}>, ${together}>;
${names.map((name) => `var<workgroup> partial_${name}: partials;`).join("\n")}

@compute @workgroup_size(${lanes}, ${together})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let row = group.x * ${together}u + local.y;
  ${forEachSum((name) => `var sum_${name} = number();`)}
  ${everyVector(forEachSum((name) => `sum_${name} += ${sums[name]};`))}
  ${forEachSum((name) => `partial_${name}[local.y][lane] = ${total(`sum_${name}`, vector)};`)}
  ${foldPartials(names.map((name) => `partial_${name}[local.y]`), lanes)}
  ${forEachSum((name) => `let ${name} = partial_${name}[local.y][0];`)}
  ${between}
  ${each ? everyVector(each) : ""}
}`,
    [rows / together],
  );
}

/** WGSL that adds up arrays of workgroup memory into their first elements, in a fixed order. */
export function foldPartials(arrays: readonly string[], lanes: number): string {
  const stages: string[] = ["workgroupBarrier();"];
  for (let length = lanes; length > 1;) {
    const half = Math.ceil(length / 2);
    const adds = arrays.map((array) => `${array}[lane] += ${array}[lane + ${half}u];`);
    stages.push(`if (lane < ${length - half}u) { ${adds.join(" ")} }`, "workgroupBarrier();");
    length = half;
  }
  return stages.join("\n  ");
}

/** The sum of a vector's components. */
export function total(value: string, vector: Vector): string {
  return vector === 1 ? value : `dot(${value}, ${numberType(vector)}(1f))`;
}
