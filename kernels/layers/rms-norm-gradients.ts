import { addPartialSums } from "../wgsl/column-sums.ts";
import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { GradientTarget, Tensor } from "../runtime/graph.ts";
import { range } from "../wgsl/range.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";

/** Rows that the same lanes walk over, summing the weight's gradient in registers. */
const ROWS = 16;
/** Most vectors of a row that one lane of a GPU holds, and invocations of a workgroup. */
const VECTORS = 8;
const INVOCATIONS = 256;

/** What the forward read and left: x [rows, width] f32, weight [width], 1 / rms [rows]. */
interface SavedNorm {
  readonly x: Tensor;
  readonly weight: Tensor;
  /** What is added to the weight. */
  readonly offset: number;
  readonly inverse: Tensor;
}

/**
 * Both gradients of y = x · inverse · (offset + weight), or one of them, in one pass over x and dy:
 * with w = offset + weight, dx = inverse · (dy · w − x · mean(dy · w · x) · inverse²), dweight += Σ
 * over rows of dy · x · inverse, in a fixed order.
 *
 * @param dy [rows, width] f32 or f16
 * @param dx left out where nothing below is trained
 * @param dweight left out where the weight is frozen
 */
export function rmsNormGradients(
  { x, weight, offset: added, inverse }: SavedNorm,
  dy: Tensor,
  dx?: GradientTarget,
  dweight?: Tensor,
): void {
  const graph = x.graph;
  const { cpu } = graph.capabilities;
  const [width] = weight.shape;
  const rows = inverse.size;
  const vector = vectorOf(width);
  const steps = width / vector;
  // A software driver runs a workgroup on one core: there, one SIMD register of lanes is enough.
  const lanes = cpu ? 8 : Math.min(INVOCATIONS, 32 * Math.ceil(steps / (32 * VECTORS)));
  // Rows that a workgroup has in hand at a time, one for each line of lanes.
  const lines = cpu ? 1 : Math.floor(INVOCATIONS / lanes);
  const groups = Math.ceil(rows / (lines * ROWS));
  const half = dx && graph.halfGradient(x);
  const partial = dweight &&
    graph.tensor(`${weight.name}.gradient.partial`, [groups * lines, width]);
  const parts = range(Math.ceil(steps / lanes)).map((part) => {
    const offset = `${part * lanes}u`;
    const guard = (part + 1) * lanes > steps ? `if (lane + ${offset} < ${steps}u) ` : "";
    return { part, offset, guard };
  });
  const each = (statement: (part: typeof parts[number]) => string) =>
    parts.map(statement).join("\n      ");
  graph.dispatch(
    "rms-norm gradients",
    {
      x: read(x, vector),
      weight: read(weight, vector),
      inverse: read(inverse),
      dy: read(dy, vector),
      ...dx && { dx: (dx.accumulate ? update : write)(dx.tensor, vector) },
      ...half && { half: write(half, vector) },
      ...partial && { partial: write(partial, vector) },
    },
    `
alias number = ${numberType(vector)};
var<workgroup> projection: array<array<f32, ${lanes}>, ${lines}>;

@compute @workgroup_size(${lanes}, ${lines})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  ${parts.map(({ part }) => `var dweight${part} = number();`).join(" ")}
  for (var turn = 0u; turn < ${ROWS}u; turn++) {
    let row = (group.x * ${ROWS}u + turn) * ${lines}u + local.y;
    let first = row * ${steps}u + lane;
    var scale = 0f;
    ${parts.map(({ part }) => `var x${part} = number(); var slope${part} = number();`).join(" ")}
    if (row < ${rows}u) {
      scale = inverse[row];
      ${
      each(({ part, offset, guard }) =>
        `${guard}{ x${part} = x[first + ${offset}]; slope${part} = number(dy[first + ${offset}]); }`
      )
    }
      ${each(({ part }) => `dweight${part} += slope${part} * x${part} * scale;`)}
      ${
      each(({ part, offset, guard }) =>
        `${guard}{ slope${part} *= ${plus(added, `weight[lane + ${offset}]`)}; }`
      )
    }
    }
    projection[local.y][lane] = ${
      total(parts.map(({ part }) => `slope${part} * x${part}`).join(" + "), vector)
    };
    ${foldPartials(["projection[local.y]"], lanes)}
    let along = projection[local.y][0] * scale * scale / ${width}f;
    ${
      dx
        ? `if (row < ${rows}u) {
      ${
          each(({ part, offset, guard }) =>
            `${guard}{ let at = first + ${offset}; ` +
            `let sum = ${
              dx.accumulate ? "dx[at] + " : ""
            }scale * (slope${part} - x${part} * along); ` +
            `dx[at] = sum;${half ? " half[at] = half_type(sum);" : ""} }`
          )
        }
    }`
        : ""
    }
    workgroupBarrier();
  }
  ${
      partial
        ? `let line = (group.x * ${lines}u + local.y) * ${steps}u + lane;
  ${each(({ part, offset, guard }) => `${guard}{ partial[line + ${offset}] = dweight${part}; }`)}`
        : ""
    }
}`,
    [groups],
  );
  if (partial) addPartialSums(partial, dweight);
}

/** WGSL of a number, or of a vector, plus a constant. */
export function plus(constant: number, value: string): string {
  return constant === 0 ? value : `(${constant}f + ${value})`;
}
