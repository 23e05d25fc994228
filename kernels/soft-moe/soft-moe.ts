import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";
import type { Sequences } from "../layers/sequences.ts";
import { softmaxGradients, softmaxOverSlots, softmaxOverTokens } from "./slot-softmax.ts";
import { gatherTokens, scatterSlots, tokenSlotScores } from "./slots.ts";

/*
 * The router of a Soft Mixture of Experts (Puigcerver et al., arXiv 2308.00951), as Steel-LLM's
 * `softmoe_v3` has it: slots are averages of the tokens of a sequence, experts map slots, tokens
 * receive averages of the mapped slots.
 *
 * All of it is f32, in mixed precision too: there are few slots, and two gated layers turn them into
 * numbers that are too small for f16 (1e-9 at the start of training).
 */

/** Smallest norm that a row is divided by, as in PyTorch's `normalize`. */
const SMALLEST_NORM = 1e-12;

/** What the tokens sent to the slots, and how they will combine what the experts return. */
export interface Routing {
  /** [experts, sequences, slotsPerExpert, width] f32: inputs of the experts. */
  readonly slots: Tensor;
  /** [tokens, S] f32: softmax over the slots, token by token. */
  readonly combine: Tensor;
}

/**
 * Computes the slots: x̂ = x / ‖x‖, logits = x̂ · scale · phi / ‖phi‖, dispatch = softmax of the logits
 * over the tokens of a sequence, combine = softmax over all slots, slots = dispatchᵀ · x̂.
 *
 * x̂ is never stored: it is x times a factor for each token.
 *
 * @param x [tokens, width] f32
 * @param phi [width, experts, slotsPerExpert] f32
 * @param scale [1] f32
 */
export function dispatchToSlots(
  x: Tensor,
  phi: Tensor,
  scale: Tensor,
  sequences: Sequences,
): Routing {
  const graph = x.graph;
  const [tokens] = x.shape;
  const layout = { experts: phi.shape[1], slotsPerExpert: phi.shape[2] };
  const inverseNorm = graph.tensor("token inverse norms", [tokens]);
  const { keys, inverseNorms } = normalizePhi(graph, phi, scale);
  const norm = { inverse: inverseNorm, smallest: SMALLEST_NORM };
  const logits = tokenSlotScores(x, keys, sequences, norm);
  const dispatch = softmaxOverTokens(logits, sequences);
  const combine = softmaxOverSlots(logits);
  const slots = gatherTokens(dispatch, x, sequences, layout, inverseNorm);

  graph.onBackward(slots, (dslots) => {
    const dunscaled = tokenSlotScores(x, dslots, sequences);
    const { dlogits, projection } = softmaxGradients(
      { logits, dispatch, combine, inverseNorm },
      { dunscaled, dcombine: combine.gradient!, slotDots: rowDots(slots, dslots) },
      sequences,
      layout,
    );
    const dkeys = gatherTokens(dlogits, x, sequences, layout, inverseNorm);
    addPhiGradients(phi, scale, inverseNorms, dkeys);
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    // dx = (dx̂ − x̂ (x̂ · dx̂)) / ‖x‖ with dx̂ = Σ dispatch · dslot + dlogit · key.
    const vector = vectorOf(x.shape[1]);
    scatterSlots(
      [{ weights: dispatch, slots: dslots }, { weights: dlogits, slots: keys }],
      sequences,
      (dx.accumulate ? update : write)(dx.tensor),
      "(sum - number(x[at]) * inverse_norm[token] * projection[token]) * inverse_norm[token]",
      { x: read(x, vector), inverse_norm: read(inverseNorm), projection: read(projection) },
    );
  });
  return { slots, combine };
}

/**
 * y[t] = Σ over slots of combine[t, slot] · outputs[slot], plus residual[t].
 *
 * @param outputs [experts, sequences, slotsPerExpert, width] f32: the slots that the experts mapped
 * @param residual [tokens, width] f32: the tokens before the layer; nothing is added when left out
 * @returns [tokens, width] f32; rows of padding keep their residual, or are 0
 */
export function combineSlots(
  outputs: Tensor,
  { combine }: Routing,
  sequences: Sequences,
  residual?: Tensor,
): Tensor {
  const graph = outputs.graph;
  const [experts, , slotsPerExpert, width] = outputs.shape;
  const y = graph.tensor("combined slots", [combine.shape[0], width]);
  scatterSlots(
    [{ weights: combine, slots: outputs }],
    sequences,
    write(y),
    residual ? "sum + residual[at]" : "sum",
    residual ? { residual: read(residual, vectorOf(width)) } : {},
  );
  graph.onBackward(y, (dy) => {
    if (residual) graph.passGradient(dy, residual);
    combine.gradient = tokenSlotScores(dy, outputs, sequences);
    const layout = { experts, slotsPerExpert };
    graph.passGradient(gatherTokens(combine, dy, sequences, layout), outputs);
  });
  return y;
}

/** keys[slot] = scale · phi[:, slot] / ‖phi[:, slot]‖, laid out as slots that all sequences share. */
function normalizePhi(
  graph: Graph,
  phi: Tensor,
  scale: Tensor,
): { keys: Tensor; inverseNorms: Tensor } {
  const [width, experts, slotsPerExpert] = phi.shape;
  const total = experts * slotsPerExpert;
  const keys = graph.tensor("slot keys", [experts, 1, slotsPerExpert, width]);
  const inverseNorms = graph.tensor("phi inverse norms", [total]);
  reduceRows(
    graph,
    "normalize phi",
    {
      phi: read(phi),
      scale: read(scale),
      keys: write(keys),
      inverse_norms: write(inverseNorms),
    },
    {
      rows: total,
      width,
      sums: { square: `phi[column * ${total}u + row] * phi[column * ${total}u + row]` },
      between: `let inverse = 1f / max(sqrt(square), ${SMALLEST_NORM}f);
  if (lane == 0u) { inverse_norms[row] = inverse; }`,
      each: `keys[at] = scale[0] * inverse * phi[column * ${total}u + row];`,
    },
  );
  return { keys, inverseNorms };
}

/**
 * With φ̂ = phi / ‖phi‖ and dkeys summed over sequences:
 * dscale = Σ over slots of φ̂ · dkeys, dphi = scale · (dkeys − φ̂ (φ̂ · dkeys)) / ‖phi‖.
 */
function addPhiGradients(
  phi: Tensor,
  scale: Tensor,
  inverseNorms: Tensor,
  dkeys: Tensor,
): void {
  const graph = dkeys.graph;
  const dphi = graph.gradientTarget(phi);
  const dscale = graph.gradientTarget(scale);
  if (!dphi || !dscale) return;
  const [, sequences, perExpert, width] = dkeys.shape;
  const [total] = inverseNorms.shape;
  const summed = graph.tensor("slot keys.gradient", [total, width]);
  graph.elementwise(
    "sum over sequences",
    summed.size,
    { dkeys: read(dkeys), summed: write(summed) },
    `let expert = i / ${perExpert * width}u;
    var sum = 0f;
    for (var sequence = 0u; sequence < ${sequences}u; sequence++) {
      sum += dkeys[(expert * ${sequences}u + sequence) * ${perExpert * width}u + i % ${
      perExpert * width
    }u];
    }
    summed[i] = sum;`,
  );
  const projections = graph.tensor("phi projections", [total]);
  const unitPhi = `(phi[column * ${total}u + row] * inverse_norms[row])`;
  reduceRows(
    graph,
    "phi gradient",
    {
      phi: read(phi),
      scale: read(scale),
      inverse_norms: read(inverseNorms),
      summed: read(summed),
      projections: write(projections),
      dphi: update(dphi.tensor),
    },
    {
      rows: total,
      width,
      sums: { projection: `summed[at] * ${unitPhi}` },
      between: "if (lane == 0u) { projections[row] = projection; }",
      each: `dphi[column * ${total}u + row] += scale[0] * inverse_norms[row] *
      (summed[at] - ${unitPhi} * projection);`,
    },
  );
  graph.elementwise(
    "scale gradient",
    1,
    { projections: read(projections), dscale: update(dscale.tensor) },
    `for (var slot = 0u; slot < ${total}u; slot++) { dscale[0] += projections[slot]; }`,
  );
}

/** dots[row] = a[row] · b[row] over the last axis. */
function rowDots(a: Tensor, b: Tensor): Tensor {
  const graph = a.graph;
  const width = a.shape.at(-1)!;
  const rows = a.size / width;
  const vector = vectorOf(width);
  const dots = graph.tensor("slot dots", [rows]);
  reduceRows(
    graph,
    "row dots",
    { a: read(a, vector), b: read(b, vector), dots: write(dots) },
    {
      rows,
      width,
      vector,
      sums: { sum: "number(a[at]) * number(b[at])" },
      between: "if (lane == 0u) { dots[row] = sum; }",
    },
  );
  return dots;
}
