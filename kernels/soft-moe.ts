import { type Graph, read, update, vectorOf, write } from "./graph.ts";
import { foldPartials, reduceRows } from "./row-reduction.ts";
import type { Sequences } from "./sequences.ts";
import { gatherTokens, scatterSlots, type SlotLayout, tokenSlotScores } from "./slots.ts";
import type { Tensor } from "./tensor.ts";

/*
 * The router of a Soft Mixture of Experts (Puigcerver et al., arXiv 2308.00951), as Steel-LLM's
 * `softmoe_v3` has it: slots are averages of the tokens of a sequence, experts map slots, tokens
 * receive averages of the mapped slots.
 *
 * All of it is f32 in mixed precision too: slots are few, and two gated layers make numbers of them
 * that f16 does not reach (1e-9 at the start of training).
 */

/** Smallest norm that a row is divided by, as in PyTorch's `normalize`. */
const SMALLEST_NORM = 1e-12;

/** What the tokens send to the slots, and what they will take back. */
export interface Routing {
  /** [experts, sequences, slotsPerExpert, width] f32: inputs of the experts. */
  readonly slots: Tensor;
  /** [tokens, S] f32: softmax over the slots, token by token. */
  readonly combine: Tensor;
}

/**
 * Fills the slots: x̂ = x / ‖x‖, logits = x̂ · scale · phi / ‖phi‖, dispatch = softmax of the logits
 * over the tokens of a sequence, combine = softmax over all slots, slots = dispatchᵀ · x̂.
 *
 * x̂ is never stored: it is x and a factor for each token.
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
 * y[t] = Σ over slots of combine[t, slot] · outputs[slot].
 *
 * @param outputs [experts, sequences, slotsPerExpert, width] f32: what the experts made of the slots
 * @returns [tokens, width] f32; zeros for rows of padding
 */
export function combineSlots(outputs: Tensor, { combine }: Routing, sequences: Sequences): Tensor {
  const graph = outputs.graph;
  const width = outputs.shape.at(-1)!;
  const y = graph.tensor("combined slots", [combine.shape[0], width]);
  scatterSlots([{ weights: combine, slots: outputs }], sequences, write(y));
  graph.onBackward(y, (dy) => {
    const [experts, , slotsPerExpert] = outputs.shape;
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

/** Softmax over the tokens of each sequence, slot by slot: one workgroup a sequence and slot. */
function softmaxOverTokens(logits: Tensor, { bounds, count }: Sequences): Tensor {
  const graph = logits.graph;
  const [, total] = logits.shape;
  const dispatch = graph.tensor("dispatch", logits.shape);
  const lanes = graph.capabilities.cpu ? 8 : 256;
  graph.dispatch(
    "softmax over tokens",
    { logits: read(logits), bounds: read(bounds, 2), dispatch: write(dispatch) },
    `
var<workgroup> partial: array<f32, ${lanes}>;

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let slot = group.x;
  let limits = bounds[group.y];
  var highest = -1e30f;
  for (var token = limits.x + lane; token < limits.y; token += ${lanes}u) {
    highest = max(highest, logits[token * ${total}u + slot]);
  }
  partial[lane] = highest;
  workgroupBarrier();
  for (var i = 0u; i < ${lanes}u; i++) { highest = max(highest, partial[i]); }
  workgroupBarrier();
  var sum = 0f;
  for (var token = limits.x + lane; token < limits.y; token += ${lanes}u) {
    sum += exp(logits[token * ${total}u + slot] - highest);
  }
  partial[lane] = sum;
  ${foldPartials(["partial"], lanes)}
  sum = partial[0];
  for (var token = limits.x + lane; token < limits.y; token += ${lanes}u) {
    dispatch[token * ${total}u + slot] = exp(logits[token * ${total}u + slot] - highest) / sum;
  }
}`,
    [total, count],
  );
  return dispatch;
}

/** Softmax over all slots, token by token. */
function softmaxOverSlots(logits: Tensor): Tensor {
  const graph = logits.graph;
  const [tokens, total] = logits.shape;
  const combine = graph.tensor("combine", logits.shape);
  graph.elementwise(
    "softmax over slots",
    tokens,
    { logits: read(logits), combine: write(combine) },
    `let row = i * ${total}u;
    var highest = logits[row];
    for (var slot = 1u; slot < ${total}u; slot++) { highest = max(highest, logits[row + slot]); }
    var sum = 0f;
    for (var slot = 0u; slot < ${total}u; slot++) { sum += exp(logits[row + slot] - highest); }
    for (var slot = 0u; slot < ${total}u; slot++) {
      combine[row + slot] = exp(logits[row + slot] - highest) / sum;
    }`,
  );
  return combine;
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

/**
 * Both softmaxes' gradients of the logits they share, and x̂ · dx̂ token by token. The sum that the
 * dispatch needs over the tokens of a sequence, Σ dispatch · ddispatch, is slot · dslot: `slotDots`.
 * As logits are x̂ · key and ddispatch is x̂ · dslot, x̂ · dx̂ needs no pass over x̂.
 */
function softmaxGradients(
  { logits, dispatch, combine, inverseNorm }: Record<
    "logits" | "dispatch" | "combine" | "inverseNorm",
    Tensor
  >,
  { dunscaled, dcombine, slotDots }: Record<"dunscaled" | "dcombine" | "slotDots", Tensor>,
  { index, count }: Sequences,
  { slotsPerExpert }: SlotLayout,
): { dlogits: Tensor; projection: Tensor } {
  const graph = dispatch.graph;
  const [tokens, total] = dispatch.shape;
  const dlogits = graph.tensor("slot logits.gradient", [tokens, total]);
  const projection = graph.tensor("token projections", [tokens]);
  graph.elementwise(
    "slot softmax gradients",
    tokens,
    {
      logits: read(logits),
      dispatch: read(dispatch),
      combine: read(combine),
      dunscaled: read(dunscaled),
      dcombine: read(dcombine),
      slot_dots: read(slotDots),
      inverse_norm: read(inverseNorm),
      index: read(index),
      dlogits: write(dlogits),
      projection: write(projection),
    },
    `let sequence = index[i];
    let row = i * ${total}u;
    var along = 0f;
    var mean = 0f;
    for (var slot = 0u; slot < ${total}u; slot++) {
      mean += combine[row + slot] * dcombine[row + slot];
    }
    for (var slot = 0u; slot < ${total}u; slot++) {
      var slope = 0f;
      if (sequence < ${count}u) {
        let own = (slot / ${slotsPerExpert}u * ${count}u + sequence) * ${slotsPerExpert}u +
          slot % ${slotsPerExpert}u;
        let ddispatch = dunscaled[row + slot] * inverse_norm[i];
        slope = combine[row + slot] * (dcombine[row + slot] - mean) +
          dispatch[row + slot] * (ddispatch - slot_dots[own]);
        along += dispatch[row + slot] * ddispatch + slope * logits[row + slot];
      }
      dlogits[row + slot] = slope;
    }
    projection[i] = along;`,
  );
  return { dlogits, projection };
}
