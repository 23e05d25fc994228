import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";
import type { Spans } from "../layers/sequences.ts";
import { softmaxGradients, softmaxOverSlots } from "./slot-softmax.ts";
import { type SlotLayout, type SlotTokens, tokenSlotScores } from "./slots.ts";
import { addTokenGradients } from "./token-gradients.ts";

/*
 * What all routers of Soft MoE share: the scores of unit tokens with unit keys, and their gradients.
 * They differ in how the tokens of a slot are weighed.
 */

/** Smallest norm that a row is divided by, as in PyTorch's `normalize`. */
const SMALLEST_NORM = 1e-12;

/** The tokens scored with each slot's key. */
export interface SlotScores {
  readonly tokens: SlotTokens;
  /** Parameter [width, experts, slotsPerExpert] f32, and its factor, [1] f32. */
  readonly phi: Tensor;
  readonly scale: Tensor;
  /** [experts, 1, slotsPerExpert, width] f32: scale · phi / ‖phi‖. */
  readonly keys: Tensor;
  /** [S] f32: 1 / ‖phi‖. */
  readonly inverseNorms: Tensor;
  /** [tokens] f32: 1 / ‖t‖. */
  readonly inverseNorm: Tensor;
  /** [tokens, S] f32: t̂ · key. */
  readonly logits: Tensor;
  /** [tokens, S] f32: softmax of the logits over the slots, token by token. */
  readonly combine: Tensor;
  readonly layout: SlotLayout;
}

/**
 * logits = t̂ · scale · phi / ‖phi‖ with t̂ = t / ‖t‖, which is never stored: it is x times factors of
 * each token and column.
 *
 * @param phi [width, experts, slotsPerExpert] f32
 * @param scale [1] f32
 */
export function scoreSlots(
  tokens: SlotTokens,
  phi: Tensor,
  scale: Tensor,
  spans: Spans,
): SlotScores {
  const { x, weight } = tokens;
  const { graph } = x;
  const inverseNorm = graph.tensor("token inverse norms", [x.shape[0]]);
  const { keys, inverseNorms } = normalizePhi(graph, phi, scale);
  const norm = { inverse: inverseNorm, smallest: SMALLEST_NORM };
  const logits = tokenSlotScores(x, keys, spans, { weight, norm });
  const combine = softmaxOverSlots(logits);
  const layout = { experts: phi.shape[1], slotsPerExpert: phi.shape[2] };
  return { tokens, phi, scale, keys, inverseNorms, inverseNorm, logits, combine, layout };
}

/**
 * Adds the gradients of the tokens, phi and scale, where a span's tokens were summed with `weights`,
 * and a weight's logarithm has the logit's slope.
 *
 * @param weights [tokens, S] f32: dispatch
 * @param dsums [experts, spans, slotsPerExpert, width] f32: gradient of those sums
 * @param slotDots [experts, spans, slotsPerExpert] f32: what each weight of a span costs beside
 * @param dkeys gradient of the keys as a part of slots, if they are: [experts, any number,
 *   slotsPerExpert, width] f32, to be summed
 */
export function addRoutingGradients(
  scores: SlotScores,
  spans: Spans,
  { weights, dsums, slotDots, dkeys }: {
    weights: Tensor;
    dsums: Tensor;
    slotDots: Tensor;
    dkeys?: Tensor;
  },
): void {
  const { tokens: { x, weight }, combine, layout } = scores;
  const factors = softmaxGradients(
    { ...scores, dispatch: weights },
    {
      dunscaled: tokenSlotScores(x, dsums, spans, { weight }),
      dcombine: combine.gradient!,
      slotDots,
    },
    spans,
    layout,
  );
  const ofTokens = addTokenGradients(scores, factors, dsums, spans);
  if (dkeys && ofTokens) addOverSpans(dkeys, ofTokens);
  if (ofTokens) addPhiGradients(scores, ofTokens);
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

/** summed[slot] += Σ over spans of dkeys[..., span, ...], in a fixed order. */
function addOverSpans(dkeys: Tensor, summed: Tensor): void {
  const [, spans, perExpert, width] = dkeys.shape;
  dkeys.graph.elementwise(
    "sum over sequences",
    summed.size,
    { dkeys: read(dkeys), summed: update(summed) },
    `let expert = i / ${perExpert * width}u;
    var sum = 0f;
    for (var span = 0u; span < ${spans}u; span++) {
      sum += dkeys[(expert * ${spans}u + span) * ${perExpert * width}u + i % ${perExpert * width}u];
    }
    summed[i] += sum;`,
  );
}

/**
 * With φ̂ = phi / ‖phi‖: dscale = Σ over slots of φ̂ · dkeys, dphi = scale · (dkeys − φ̂ (φ̂ · dkeys)) /
 * ‖phi‖.
 *
 * @param dkeys [S, width] f32
 */
function addPhiGradients({ phi, scale, inverseNorms }: SlotScores, dkeys: Tensor): void {
  const graph = dkeys.graph;
  const dphi = graph.gradientTarget(phi);
  const dscale = graph.gradientTarget(scale);
  if (!dphi || !dscale) return;
  const [total, width] = dkeys.shape;
  const projections = graph.tensor("phi projections", [total]);
  const unitPhi = `(phi[column * ${total}u + row] * inverse_norms[row])`;
  reduceRows(
    graph,
    "phi gradient",
    {
      phi: read(phi),
      scale: read(scale),
      inverse_norms: read(inverseNorms),
      dkeys: read(dkeys),
      projections: write(projections),
      dphi: update(dphi.tensor),
    },
    {
      rows: total,
      width,
      sums: { projection: `dkeys[at] * ${unitPhi}` },
      between: "if (lane == 0u) { projections[row] = projection; }",
      each: `dphi[column * ${total}u + row] += scale[0] * inverse_norms[row] *
      (dkeys[at] - ${unitPhi} * projection);`,
    },
  );
  graph.elementwise(
    "scale gradient",
    1,
    { projections: read(projections), dscale: update(dscale.tensor) },
    `var sum = 0f;
    for (var slot = 0u; slot < ${total}u; slot++) { sum += projections[slot]; }
    dscale[0] += sum;`,
  );
}

/** dots[row] = a[row] · b[row] over the last axis. */
export function rowDots(a: Tensor, b: Tensor): Tensor {
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
