import { read, write } from "./runtime/dispatch.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "./runtime/fragment.ts";
import type { Graph, Tensor } from "./runtime/graph.ts";
import { MATRIX_DIRECTIVES } from "./wgsl/matrix-directives.ts";
import { range } from "./wgsl/range.ts";

/** Sums that a lane, or a subgroup on tensor cores, has under way at a time: none waits for another. */
const CHAINS = range(8);
/** Terms of each sum. */
const TERMS = 512;
const LANES = 128;
/** Fragments on the left and on the right, of which every pair is a chain. */
const LEFT = range(4), RIGHT = range(CHAINS.length / LEFT.length);
const FRAGMENT_SIZE = FRAGMENT.m * FRAGMENT.k;
/** Multiplications and additions that keep a device busy for about a millisecond. */
const BUSY = { cpu: 3e7, plain: 3e10, tensorCores: 6e11 };

/** Numbers that {@linkcode multiplications} reads. */
export const FACTORS = (LEFT.length + RIGHT.length) * FRAGMENT_SIZE;

/**
 * Records multiplications whose operands and sums stay in registers, the most that a product can
 * reach: of fragments where the factors suit tensor cores, of `vec4f` elsewhere.
 *
 * @param factors [{@linkcode FACTORS}] f32 or f16
 * @returns how many multiplications and additions they are
 */
export function multiplications(graph: Graph, factors: Tensor): number {
  const { cpu, tensorCores } = graph.capabilities;
  const onTensorCores = tensorCores && factors.dtype === "f16";
  const perTerm = onTensorCores
    ? LANES / SUBGROUP_SIZE * FRAGMENT.m * FRAGMENT.n * FRAGMENT.k
    : 4 * LANES;
  const flops = 2 * perTerm * TERMS * CHAINS.length;
  const groups = Math.ceil(BUSY[cpu ? "cpu" : onTensorCores ? "tensorCores" : "plain"] / flops);
  const sums = graph.output("sums", [CHAINS.length * FRAGMENT_SIZE]);
  const vector = onTensorCores ? 1 : 4;
  graph.dispatch(
    "multiplications",
    { factors: read(factors, vector), sums: write(sums, vector) },
    `
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
${onTensorCores ? onFragments() : onVectors()}
}`,
    [groups],
    { directives: onTensorCores ? MATRIX_DIRECTIVES : [] },
  );
  return flops * groups;
}

function onFragments(): string {
  const load = (side: string, fragment: number) =>
    `  let ${side}_${fragment} = subgroupMatrixLoad<subgroup_matrix_${side}<f16, ` +
    `${side === "left" ? FRAGMENT.k : FRAGMENT.n}, ${
      side === "left" ? FRAGMENT.m : FRAGMENT.k
    }>, ` +
    `row_major>(&factors, ${FRAGMENT_SIZE * fragment}u, ${FRAGMENT.k}u);`;
  const right = (chain: number) => LEFT.length + Math.floor(chain / LEFT.length);
  return `${LEFT.map((i) => load("left", i)).join("\n")}
${RIGHT.map((i) => load("right", LEFT.length + i)).join("\n")}
${each((i) => `  var sum_${i} = subgroup_matrix_result<f32, ${FRAGMENT.n}, ${FRAGMENT.m}>();`)}
  for (var term = 0u; term < ${TERMS}u; term++) {
${
    each((i) =>
      `    sum_${i} = subgroupMatrixMultiplyAccumulate(left_${i % LEFT.length}, right_${
        right(i)
      }, ` +
      `sum_${i});`
    )
  }
  }
  if (group.x == 0u && lane < ${SUBGROUP_SIZE}u) {
${
    each((i) =>
      `    subgroupMatrixStore<row_major>(&sums, ${FRAGMENT_SIZE * i}u, sum_${i}, ${FRAGMENT.n}u);`
    )
  }
  }`;
}

function onVectors(): string {
  return `  let factor = vec4f(factors[lane]);
${each((i) => `  var sum_${i} = vec4f(factors[${i}]);`)}
  for (var term = 0u; term < ${TERMS}u; term++) {
${each((i) => `    sum_${i} = fma(sum_${i}, factor, vec4f(0.5));`)}
  }
  if (group.x == 0u) { sums[lane] = ${CHAINS.map((i) => `sum_${i}`).join(" + ")}; }`;
}

function each(line: (chain: number) => string): string {
  return CHAINS.map(line).join("\n");
}
