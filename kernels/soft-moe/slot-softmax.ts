import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { foldPartials } from "../wgsl/row-reduction.ts";
import type { Spans } from "../layers/sequences.ts";
import type { SlotLayout } from "./slots.ts";

/*
 * The two softmaxes of Soft MoE, over the same logits [tokens, S] with S = experts · slotsPerExpert:
 * dispatch, the weights of a sequence's tokens in a slot, and combine, the weights of all slots in a
 * token.
 */

/**
 * Softmax over the tokens of each sequence, slot by slot: one workgroup a sequence and slot.
 *
 * @returns [tokens, S] f32; rows of padding are not written, and nothing reads them
 */
export function softmaxOverTokens(logits: Tensor, { bounds, count }: Spans): Tensor {
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

/** Softmax over all slots, token by token: [tokens, S] f32. */
export function softmaxOverSlots(logits: Tensor): Tensor {
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

/**
 * Both softmaxes' gradients of the logits they share, as the factors of a token's gradient: with
 * t̂ = t / ‖t‖ and dt̂ = Σ dispatch · dsum + dlogit · key, the gradient of t is (dt̂ − t̂ (t̂ · dt̂)) / ‖t‖ =
 * Σ factor[s] · dsum[s] + factor[S + s] · key[s], plus factor[2 S] · t.
 *
 * The sum that the dispatch needs over the tokens of a sequence, Σ dispatch · ddispatch, is
 * slot · dslot: `slotDots`. As logits are t̂ · key and ddispatch is t̂ · dslot, t̂ · dt̂ needs no pass over
 * t̂.
 *
 * @returns [tokens, 2 S + 1, rounded up to a multiple of 4] f32; zeros in rows of padding. What is behind
 *   the factors is not written, and lets them be read as vectors.
 */
export function softmaxGradients(
  { logits, dispatch, combine, inverseNorm }: Record<
    "logits" | "dispatch" | "combine" | "inverseNorm",
    Tensor
  >,
  { dunscaled, dcombine, slotDots }: Record<"dunscaled" | "dcombine" | "slotDots", Tensor>,
  { index, count }: Spans,
  { slotsPerExpert }: SlotLayout,
): Tensor {
  const graph = dispatch.graph;
  const [tokens, total] = dispatch.shape;
  const length = Math.ceil((2 * total + 1) / 4) * 4;
  const factors = graph.tensor("token gradient factors", [tokens, length]);
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
      factors: write(factors),
    },
    `let sequence = index[i];
    let row = i * ${total}u;
    let first = i * ${length}u;
    var along = 0f;
    var mean = 0f;
    for (var slot = 0u; slot < ${total}u; slot++) {
      mean += combine[row + slot] * dcombine[row + slot];
    }
    for (var slot = 0u; slot < ${total}u; slot++) {
      var sent = 0f;
      var slope = 0f;
      if (sequence < ${count}u) {
        let own = (slot / ${slotsPerExpert}u * ${count}u + sequence) * ${slotsPerExpert}u +
          slot % ${slotsPerExpert}u;
        let ddispatch = dunscaled[row + slot] * inverse_norm[i];
        sent = dispatch[row + slot];
        slope = combine[row + slot] * (dcombine[row + slot] - mean) +
          sent * (ddispatch - slot_dots[own]);
        along += sent * ddispatch + slope * logits[row + slot];
      }
      factors[first + slot] = sent * inverse_norm[i];
      factors[first + ${total}u + slot] = slope * inverse_norm[i];
    }
    factors[first + ${2 * total}u] = -along * inverse_norm[i] * inverse_norm[i];`,
  );
  return factors;
}
