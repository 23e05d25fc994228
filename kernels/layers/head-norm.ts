import { sumColumns } from "../wgsl/column-sums.ts";
import { numberType, read, update, type Vector, vectorOf, write } from "../runtime/dispatch.ts";
import type { GradientTarget, Graph, Tensor } from "../runtime/graph.ts";
import { foldPartials, total } from "../wgsl/row-reduction.ts";
import { fusedWidth, type HeadLayout } from "./rope.ts";

/** The most invocations of a workgroup. */
const INVOCATIONS = 256;

/** Columns of a fused projection that are normalised: `count` stretches of the weight's width. */
interface Stretches {
  readonly name: "queries" | "keys";
  /** [width] f32. */
  readonly weight: Tensor;
  /** The first column. */
  readonly first: number;
  readonly count: number;
  /** [tokens, count] f32: 1 / sqrt(mean square + epsilon), which the forward leaves. */
  readonly inverse: Tensor;
}

/**
 * RMSNorm of the queries and of the keys of a fused projection, before rope; values pass as they are.
 * A weight as wide as a head normalises each head by itself, as in Qwen3 (arXiv 2505.09388); one as
 * wide as all heads normalises them together, as in OLMo 2 (arXiv 2501.00656).
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16; nothing else may read it
 * @param queryWeight [headDim] or [heads · headDim] f32
 * @param keyWeight [headDim] or [keyValueHeads · headDim] f32
 * @param epsilon added to the mean square
 * @returns of the shape and type of qkv
 */
export function normalizeHeads(
  qkv: Tensor,
  queryWeight: Tensor,
  keyWeight: Tensor,
  layout: HeadLayout,
  epsilon: number,
): Tensor {
  const graph = qkv.graph;
  const { heads, keyValueHeads, headDim } = layout;
  const stretchesOf = (
    name: Stretches["name"],
    weight: Tensor,
    firstHead: number,
    heads: number,
  ): Stretches => {
    const count = heads * headDim / weight.size;
    const inverse = graph.tensor(`${name}.inverse`, [qkv.shape[0], count]);
    return { name, weight, first: firstHead * headDim, count, inverse };
  };
  const all = [
    stretchesOf("queries", queryWeight, 0, heads),
    stretchesOf("keys", keyWeight, heads, keyValueHeads),
  ];
  const y = graph.tensor("normalized heads", qkv.shape, qkv.dtype);
  copyValues(graph, qkv, y, layout, false);
  for (const stretches of all) normalize(stretches, qkv, y, layout, epsilon);

  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(qkv);
    if (!target) return;
    copyValues(graph, dy, target.tensor, layout, target.accumulate);
    for (const stretches of all) {
      normGradients(stretches, qkv, dy, target, layout);
      const dweight = graph.gradientTarget(stretches.weight);
      if (dweight) addWeightGradient(stretches, qkv, dy, dweight.tensor, layout);
    }
  });
  return y;
}

/** Writes the columns of values; the first of the kernels that write a fused projection. */
function copyValues(
  graph: Graph,
  from: Tensor,
  into: Tensor,
  layout: HeadLayout,
  accumulate: boolean,
): void {
  const { keyValueHeads, headDim } = layout;
  const vector = vectorOf(headDim);
  const width = fusedWidth(layout) / vector;
  const columns = keyValueHeads * headDim / vector;
  graph.elementwise(
    "copy values",
    from.shape[0] * columns,
    { source: read(from, vector), into: (accumulate ? update : write)(into, vector) },
    `let at = i / ${columns}u * ${width}u + ${width - columns}u + i % ${columns}u;
    into[at] ${accumulate ? "+=" : "="} source[at];`,
    vector,
  );
}

function normalize(
  stretches: Stretches,
  qkv: Tensor,
  y: Tensor,
  layout: HeadLayout,
  epsilon: number,
): void {
  const { name, weight, inverse } = stretches;
  const kernel = new StretchKernel(qkv.graph, stretches, layout);
  const { vector, width } = kernel;
  qkv.graph.dispatch(
    `normalize ${name}`,
    {
      x: read(qkv, vector),
      weight: read(weight, vector),
      y: update(y, vector),
      inverse: write(inverse),
    },
    kernel.text(
      "number(x[at]) * number(x[at])",
      `let scale = inverseSqrt(sum / ${width}f + ${epsilon});
  if (alive && lane == 0u) { inverse[stretch] = scale; }`,
      "y[at] = y_type(number(x[at]) * scale * weight[column]);",
    ),
    kernel.workgroups,
  );
}

/** dx = inverse · (dy · weight − x · inverse² · mean(dy · weight · x)). */
function normGradients(
  stretches: Stretches,
  qkv: Tensor,
  dy: Tensor,
  dx: GradientTarget,
  layout: HeadLayout,
): void {
  const { name, weight, inverse } = stretches;
  const kernel = new StretchKernel(qkv.graph, stretches, layout);
  const { vector, width } = kernel;
  const slope = "number(dy[at]) * weight[column]";
  qkv.graph.dispatch(
    `normalize ${name} dX`,
    {
      x: read(qkv, vector),
      weight: read(weight, vector),
      inverse: read(inverse),
      dy: read(dy, vector),
      dx: update(dx.tensor, vector),
    },
    kernel.text(
      `${slope} * number(x[at])`,
      `let scale = inverse[stretch];
  let along = sum * scale * scale / ${width}f;`,
      `dx[at] ${dx.accumulate ? "+=" : "="} dx_type(scale * (${slope} - number(x[at]) * along));`,
    ),
    kernel.workgroups,
  );
}

/** dweight += Σ over tokens and stretches of dy · x · inverse, in a fixed order. */
function addWeightGradient(
  { name, weight, first, count, inverse }: Stretches,
  qkv: Tensor,
  dy: Tensor,
  dweight: Tensor,
  layout: HeadLayout,
): void {
  const vector = vectorOf(weight.size);
  const at = `(row / ${count}u * ${fusedWidth(layout) / vector}u + ${first / vector}u + ` +
    `row % ${count}u * ${weight.size / vector}u + column)`;
  sumColumns(
    qkv.graph,
    `normalize ${name} dWeight`,
    { x: read(qkv, vector), dy: read(dy, vector), inverse: read(inverse) },
    {
      rows: inverse.size,
      term: `partial_type(dy[${at}]) * partial_type(x[${at}]) * inverse[row]`,
    },
    dweight,
  );
}

/** A kernel in which lines of lanes own a stretch of a token each: they sum over it, then write it. */
class StretchKernel {
  readonly width: number;
  readonly vector: Vector;
  readonly workgroups: [number, number];
  private readonly lanes: number;
  private readonly lines: number;

  constructor(
    graph: Graph,
    private readonly stretches: Stretches,
    private readonly layout: HeadLayout,
  ) {
    const { weight, count, inverse } = stretches;
    this.width = weight.size;
    // Stretches begin at whole heads.
    this.vector = vectorOf(layout.headDim);
    const steps = this.width / this.vector;
    const { cpu } = graph.capabilities;
    // A software driver runs a workgroup on one core: there, one SIMD register of lanes is enough.
    this.lanes = cpu ? 8 : Math.min(INVOCATIONS, 2 ** Math.ceil(Math.log2(steps)));
    this.lines = cpu ? 1 : Math.min(count, Math.floor(INVOCATIONS / this.lanes));
    this.workgroups = [inverse.shape[0], Math.ceil(count / this.lines)];
  }

  /**
   * The WGSL. All three parts may use `at` and `column`, places of a vector in the projection and in
   * the weight, and `stretch`, counted over all tokens.
   *
   * @param term of the sum over a stretch, a `number`
   * @param between statements once `sum` is known; only lines that are `alive` may write
   * @param each statement for every vector of the stretch
   */
  text(term: string, between: string, each: string): string {
    const { lanes, lines, vector, width, layout, stretches: { first, count } } = this;
    const steps = width / vector;
    const every = (statement: string) =>
      `for (var column = lane; column < ${steps}u; column += ${lanes}u) {
    let at = start + column;
    ${statement}
  }`;
    return `
alias number = ${numberType(vector)};
var<workgroup> partial: array<array<f32, ${lanes}>, ${lines}>;

@compute @workgroup_size(${lanes}, ${lines})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let place = group.y * ${lines}u + local.y;
  let alive = place < ${count}u;
  // Lines past the last stretch compute it again and write nothing.
  let own = min(place, ${count - 1}u);
  let stretch = group.x * ${count}u + own;
  let start = group.x * ${fusedWidth(layout) / vector}u + ${first / vector}u + own * ${steps}u;
  var own_sum = number();
  ${every(`own_sum += ${term};`)}
  partial[local.y][lane] = ${total("own_sum", vector)};
  ${foldPartials(["partial[local.y]"], lanes)}
  let sum = partial[local.y][0];
  ${between}
  if (!alive) { return; }
  ${every(each)}
}`;
  }
}
