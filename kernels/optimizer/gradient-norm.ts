import { read, type Slice, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";
import { unrolledLoop } from "../wgsl/unrolled-loop.ts";

/** Elements that one workgroup squares and sums. */
const SHARE = 1 << 16;
/**
 * Gradients that one dispatch reads: all bindings but one that every WebGPU device has. Each dispatch
 * waits for the one before it, and a small gradient alone would leave most of a GPU idle.
 */
const TOGETHER = 7;

/** Places of the numbers that a training step reports to the host. */
export const REPORT = {
  loss: 0,
  gradientNorm: 1,
  scale: 2,
  finite: 3,
  weightsFinite: 4,
  length: 5,
} as const;

/** A gradient, or the part of it that one rank updates. */
export interface GradientPart {
  /** f32, any shape. */
  readonly gradient: Tensor;
  /** The part; the whole when left out. */
  readonly slice?: Slice;
}

/**
 * Computes the norm of all gradients together, as if they were one vector, and the factor that clips
 * it: report = [loss, norm, scale, finite, 1], with scale = min(1, clip / (norm + 1e-6)) as in
 * PyTorch's `clip_grad_norm_`. `finite` is 0 if loss or norm is not a finite number. The last,
 * `weightsFinite`, is 1 here, and {@link adamW} may set it to 0. The loss is then set to 0 for the
 * next step. Sums are taken in a fixed order.
 *
 * Loss and gradients come multiplied by the loss scale. Loss and norm are reported without it, and
 * `scale` divides the gradients by it.
 *
 * @param gradients f32, any shapes
 * @param loss [1] f32
 * @param rates [4] f32, of `adamWRates`
 * @param clip the longest norm allowed
 * @returns report, [REPORT.length] f32
 */
export function gradientNorm(
  graph: Graph,
  gradients: readonly Tensor[],
  loss: Tensor,
  rates: Tensor,
  clip: number,
): Tensor {
  const squares = sumsOfSquares(graph, gradients.map((gradient) => ({ gradient })));
  return clipReport(graph, squares, loss, rates, clip);
}

/**
 * The first half of {@linkcode gradientNorm}: sums of squares.
 *
 * @returns [sums] f32, an activation
 */
export function sumsOfSquares(graph: Graph, gradients: readonly GradientPart[]): Tensor {
  const parts = gradients.map((part) => {
    const size = part.slice?.count ?? part.gradient.size;
    return { ...part, size, shares: Math.ceil(size / SHARE) };
  });
  const sharesOf = (some: typeof parts) => some.reduce((sum, { shares }) => sum + shares, 0);
  const partial = graph.tensor("squares", [sharesOf(parts)]);
  const lanes = graph.capabilities.cpu ? 8 : 256;
  for (let first = 0; first < parts.length; first += TOGETHER) {
    const some = parts.slice(first, first + TOGETHER);
    const sums = some.map(({ size }, index) => {
      const vector = vectorOf(size);
      const share = SHARE / vector;
      const own = `(group.x - ${sharesOf(some.slice(0, index))}u)`;
      const every = {
        first: `${own} * ${share}u + lane`,
        end: `min((${own} + 1u) * ${share}u, ${size / vector}u)`,
        step: lanes,
        turns: 8,
      };
      const add = `let slope = gradient${index}[i]; squares += slope * slope;`;
      return `if (group.x < ${sharesOf(some.slice(0, index + 1))}u) {
    var squares = gradient${index}_type();
    ${unrolledLoop(graph.capabilities, "i", every, add)}
    sum = ${total("squares", vector)};
  }`;
    });
    graph.dispatch(
      "squared gradients",
      {
        ...Object.fromEntries(
          some.map((
            { gradient, slice, size },
            index,
          ) => [`gradient${index}`, read(gradient, vectorOf(size), slice)]),
        ),
        partial: first === 0 ? write(partial) : update(partial),
      },
      `
var<workgroup> sums: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  var sum = 0f;
  ${sums.join(" else ")}
  sums[lane] = sum;
  ${foldPartials(["sums"], lanes)}
  if (lane == 0u) { partial[${sharesOf(parts.slice(0, first))}u + group.x] = sums[0]; }
}`,
      [sharesOf(some)],
    );
  }
  return partial;
}

/**
 * The second half of {@linkcode gradientNorm}: the report.
 *
 * @param partial [any length] f32: sums of squares, which together are the norm's square
 */
export function clipReport(
  graph: Graph,
  partial: Tensor,
  loss: Tensor,
  rates: Tensor,
  clip: number,
): Tensor {
  const lanes = graph.capabilities.cpu ? 8 : 256;
  const report = graph.output("report", [REPORT.length]);
  graph.dispatch(
    "gradient norm",
    { partial: read(partial), rates: read(rates), loss: update(loss), report: write(report) },
    `
var<workgroup> sums: array<f32, ${lanes}>;

// Arithmetic on NaN and infinity may be assumed away by a compiler; their bits may not.
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0f;
  for (var i = lane; i < ${partial.size}u; i += ${lanes}u) { sum += partial[i]; }
  sums[lane] = sum;
  ${foldPartials(["sums"], lanes)}
  if (lane == 0u) {
    let unscale = rates[3];
    let norm = sqrt(sums[0]) * unscale;
    report[${REPORT.loss}] = loss[0] * unscale;
    report[${REPORT.gradientNorm}] = norm;
    report[${REPORT.scale}] = min(1f, ${clip}f / (norm + 1e-6f)) * unscale;
    report[${REPORT.finite}] = select(0f, 1f, is_finite(loss[0]) && is_finite(sums[0]));
    report[${REPORT.weightsFinite}] = 1f;
    loss[0] = 0f;
  }
}`,
    [1],
  );
  return report;
}
