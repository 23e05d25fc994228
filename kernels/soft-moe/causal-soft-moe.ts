import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import type { Sequences, Spans } from "../layers/sequences.ts";
import { addRoutingGradients, rowDots, scoreSlots, type SlotScores } from "./routing.ts";
import { type Segments, segmentsOf } from "./segments.ts";
import { gatherTokens, type SlotTokens } from "./slots.ts";
import type { Routing } from "./soft-moe.ts";

/*
 * A router of Soft MoE that is causal. A sequence is cut into segments, as in Lory (Zhong et al.,
 * arXiv 2405.03133), and the slots that the tokens of a segment combine are means of the segments
 * before it: with w[t, s] = exp(x̂[t] · key[s]) and sums over the tokens of all earlier segments,
 *
 *   slot[s] = (key[s] + Σ w[t, s] x̂[t]) / (1 + Σ w[t, s]).
 *
 * The key counts as a token of weight 1: in the first segment, a slot is its key. Sums can be
 * continued token by token, so that a cache holds them instead of the tokens.
 *
 * With |key| above 88, exp would overflow. A sum is therefore kept times exp(-shift), with a shift of
 * its own that only the tokens in it decide, and brought to the larger of two shifts where it meets
 * another. Slots do not depend on shifts, so that these have no gradient.
 */

/** Logits up to here need no shift: exp(20) is 5e8, and sums of it are far from f32's limit. */
const UNSHIFTED = 20;

/** Slots of segments, and how the tokens of each segment will combine what the experts return. */
export interface CausalRouting extends Routing {
  /** What the slots are of: segments, or in a step of decoding the texts. */
  readonly spans: Spans;
}

/** The same of a pass over whole texts. */
export interface SegmentRouting extends CausalRouting {
  /** Leaves what {@linkcode continueSegments} needs to go on. */
  keepSums(memory: SlotMemory): void;
}

/** The sums over the tokens of each text so far. */
export interface SlotMemory {
  /**
   * [seats, 2, S, width + 2] f32: of whole segments, then of the segment that is being written; behind
   * each sum of tokens that of their weights, and the shift of both.
   */
  readonly sums: Tensor;
  /** [sequences] u32: the seat of each; those beyond the sums have none. */
  readonly seats: Tensor;
  /** Whether each row goes on with a text; if not, sequences begin texts and leave their sums. */
  readonly continues: boolean;
}

/** The shape of a text's sums. */
export function slotMemoryShape(slots: number, width: number): readonly number[] {
  return [2, slots, width + 2];
}

/**
 * Computes the slots that the tokens of each segment see, from those of the segments before.
 *
 * @param tokens of which the router reads the directions
 * @param phi [width, experts, slotsPerExpert] f32
 * @param scale [1] f32
 * @param length tokens of a segment
 */
export function dispatchToLaterSegments(
  tokens: SlotTokens,
  phi: Tensor,
  scale: Tensor,
  sequences: Sequences,
  length: number,
): SegmentRouting {
  const { x, weight } = tokens;
  const { graph } = x;
  const segments = segmentsOf(sequences, length);
  const scores = scoreSlots(tokens, phi, scale, segments);
  const shifts = segmentShifts(scores, segments);
  const weights = tokenWeights(scores, shifts, segments);
  const factors = { scale: scores.inverseNorm, weight };
  const sums = gatherTokens(weights, x, segments, scores.layout, factors);
  const masses = gatherWeights(weights, segments, scores);
  const parts = { sums, masses, shifts };
  const { slots, totals, before } = slotsBefore(scores, parts, segments, sequences);

  graph.onBackward(slots, (dslots) => {
    const seen = { slots, totals, before, shifts };
    const { dsums, slotDots, dkeys } = sumGradients(seen, dslots, segments, sequences);
    addRoutingGradients(scores, segments, { weights, dsums, slotDots, dkeys });
  });
  return {
    slots,
    combine: scores.combine,
    spans: segments,
    keepSums: (memory) => keepSums(memory, parts, segments, sequences),
  };
}

/**
 * The slots of one new token of each text, which is then added to the text's sums.
 *
 * @param tokens one of each text
 * @param positions [texts] u32: each token's place in its text
 * @param length tokens of a segment
 */
export function continueSegments(
  { x, weight }: SlotTokens,
  phi: Tensor,
  scale: Tensor,
  texts: Sequences,
  memory: SlotMemory,
  positions: Tensor,
  length: number,
): CausalRouting {
  const { graph } = x;
  const scores = scoreSlots({ x, weight }, phi, scale, texts);
  const { keys, logits, combine, inverseNorm, layout: { experts, slotsPerExpert } } = scores;
  const [rows, width] = x.shape;
  const [, total] = combine.shape;
  const [seats] = memory.sums.shape;
  const numbers = width + 2;
  const half = total * numbers;
  // Where a segment ends before this token, the sum of it joins that of whole segments.
  const begins = `positions[row] % ${length}u == 0u`;
  const shifts = graph.tensor("shifts of texts", [rows, total, 4]);
  graph.elementwise(
    "shifts of texts",
    rows * total,
    {
      logits: read(logits),
      positions: read(positions),
      seats: read(memory.seats),
      sums: read(memory.sums),
      shifts: write(shifts, 4),
    },
    `let row = i / ${total}u;
    let seat = min(seats[row], ${seats - 1}u);
    let shift = (2u * seat * ${total}u + i % ${total}u) * ${numbers}u + ${width + 1}u;
    let whole = sums[shift];
    let open = sums[shift + ${half}u];
    let least = select(open, 0f, ${begins});
    // Of whole segments before and after, and of the segment that is being written.
    shifts[i] = vec4f(
      whole, select(whole, max(whole, open), ${begins}),
      open, max(least, logits[i] - ${UNSHIFTED}f),
    );`,
  );
  graph.elementwise(
    "add token to segment",
    rows * half,
    {
      x: read(x),
      ...(weight && { columns: read(weight) }),
      logits: read(logits),
      shifts: read(shifts, 4),
      inverse_norm: read(inverseNorm),
      positions: read(positions),
      seats: read(memory.seats),
      sums: update(memory.sums),
    },
    `let row = i / ${half}u;
    if (seats[row] >= ${seats}u) { continue; }
    let whole = 2u * seats[row] * ${half}u + i % ${half}u;
    let open = whole + ${half}u;
    let column = i % ${numbers}u;
    let shift = shifts[i / ${numbers}u];
    if (column == ${width + 1}u) {
      sums[whole] = shift.y;
      sums[open] = shift.w;
      continue;
    }
    var begun = sums[open];
    if (${begins}) {
      sums[whole] = sums[whole] * exp(shift.x - shift.y) + begun * exp(shift.z - shift.y);
      begun = 0f;
    } else {
      begun *= exp(shift.z - shift.w);
    }
    var value = 1f;
    if (column < ${width}u) {
      value = x[row * ${width}u + column] * inverse_norm[row]${weight ? " * columns[column]" : ""};
    }
    sums[open] = begun + exp(logits[i / ${numbers}u] - shift.w) * value;`,
  );
  const slots = graph.tensor("slots", [experts, rows, slotsPerExpert, width]);
  graph.elementwise(
    "slots of texts",
    slots.size,
    { keys: read(keys), sums: read(memory.sums), seats: read(memory.seats), slots: write(slots) },
    `let at = i / ${width}u;
    let seat = min(seats[at / ${slotsPerExpert}u % ${rows}u], ${seats - 1}u);
    let slot = at / ${slotsPerExpert * rows}u * ${slotsPerExpert}u + at % ${slotsPerExpert}u;
    let first = 2u * seat * ${half}u + slot * ${numbers}u;
    let start = exp(-sums[first + ${width + 1}u]);
    slots[i] = (keys[slot * ${width}u + i % ${width}u] * start + sums[first + i % ${width}u]) /
      (start + sums[first + ${width}u]);`,
  );
  return { slots, combine, spans: texts };
}

/** The shift of each segment's sums: [experts, segments, slotsPerExpert] f32, not below 0. */
function segmentShifts(
  { logits, layout: { experts, slotsPerExpert } }: SlotScores,
  { bounds, count }: Segments,
): Tensor {
  const { graph, shape: [, total] } = logits;
  const shifts = graph.tensor("segment shifts", [experts, count, slotsPerExpert]);
  graph.elementwise(
    "segment shifts",
    shifts.size,
    { logits: read(logits), bounds: read(bounds, 2), shifts: write(shifts) },
    `let limits = bounds[i / ${slotsPerExpert}u % ${count}u];
    let slot = i / ${slotsPerExpert * count}u * ${slotsPerExpert}u + i % ${slotsPerExpert}u;
    var shift = 0f;
    for (var token = limits.x; token < limits.y; token++) {
      shift = max(shift, logits[token * ${total}u + slot] - ${UNSHIFTED}f);
    }
    shifts[i] = shift;`,
  );
  return shifts;
}

/** exp(logits - shift of the token's segment): [tokens, S] f32; rows of padding are without meaning. */
function tokenWeights(
  { logits, layout: { slotsPerExpert } }: SlotScores,
  shifts: Tensor,
  { index, count }: Segments,
): Tensor {
  const { graph, shape: [, total] } = logits;
  const weights = graph.tensor("token weights", logits.shape);
  graph.elementwise(
    "token weights",
    logits.size,
    { logits: read(logits), shifts: read(shifts), index: read(index), weights: write(weights) },
    `let segment = min(index[i / ${total}u], ${count - 1}u);
    let slot = i % ${total}u;
    let own = (slot / ${slotsPerExpert}u * ${count}u + segment) * ${slotsPerExpert}u +
      slot % ${slotsPerExpert}u;
    weights[i] = exp(logits[i] - shifts[own]);`,
  );
  return weights;
}

/** Of each segment, for each slot: the sum of its tokens, that of their weights, and the shift of both. */
interface SegmentSums {
  readonly sums: Tensor;
  readonly masses: Tensor;
  readonly shifts: Tensor;
}

/** The weights of each segment's tokens, added up: [experts, segments, slotsPerExpert] f32. */
function gatherWeights(
  weights: Tensor,
  { bounds, count }: Segments,
  { layout: { experts, slotsPerExpert } }: SlotScores,
): Tensor {
  const { graph } = weights;
  const [, total] = weights.shape;
  const masses = graph.tensor("segment weights", [experts, count, slotsPerExpert]);
  graph.elementwise(
    "gather weights",
    masses.size,
    { weights: read(weights), bounds: read(bounds, 2), masses: write(masses) },
    `let limits = bounds[i / ${slotsPerExpert}u % ${count}u];
    let slot = i / ${slotsPerExpert * count}u * ${slotsPerExpert}u + i % ${slotsPerExpert}u;
    var sum = 0f;
    for (var token = limits.x; token < limits.y; token++) { sum += weights[token * ${total}u + slot]; }
    masses[i] = sum;`,
  );
  return masses;
}

/**
 * The slots that each segment sees, what they were divided by, and the shift of that. Segments that no sequence has are
 * zeros: experts compute them too, and their weights' gradients sum over them.
 */
function slotsBefore(
  { keys }: SlotScores,
  { sums, masses, shifts }: SegmentSums,
  { ofSequences }: Segments,
  { count: sequences }: Sequences,
): { slots: Tensor; totals: Tensor; before: Tensor } {
  const { graph } = sums;
  const [, segments, , width] = sums.shape;
  const vector = vectorOf(width);
  const columns = width / vector;
  const slots = graph.tensor("slots", sums.shape);
  const totals = graph.tensor("slot weights", masses.shape);
  const before = graph.tensor("slot shifts", masses.shape);
  graph.elementwise(
    "slots before segments",
    keys.size / vector * sequences,
    {
      keys: read(keys, vector),
      sums: read(sums, vector),
      masses: read(masses),
      shifts: read(shifts),
      of_sequences: read(ofSequences, 2),
      slots: write(slots, vector),
      totals: write(totals),
      before: write(before),
    },
    `${placeOf(sums, columns, sequences)}
    var sum = number(keys[slot * ${columns}u + column]);
    var mass = 1f;
    var shift = 0f;
    for (var segment = own.x; segment < own.y; segment++) {
      let row = first + segment * per;
      slots[row * ${columns}u + column] = sum / mass;
      if (column == 0u) {
        totals[row] = mass;
        before[row] = shift;
      }
      let after = max(shift, shifts[row]);
      let kept = exp(shift - after);
      let added = exp(shifts[row] - after);
      sum = sum * kept + sums[row * ${columns}u + column] * added;
      mass = mass * kept + masses[row] * added;
      shift = after;
    }
    if (sequence > 0u) { continue; }
    for (var segment = of_sequences[${sequences - 1}u].y; segment < ${segments}u; segment++) {
      slots[(first + segment * per) * ${columns}u + column] = number();
    }`,
    vector,
  );
  return { slots, totals, before };
}

/**
 * The gradients of the sums over segments: each is a part of the slots of all later segments.
 *
 * @returns dsums as the slots; slotDots, minus the gradient of a segment's weights; dkeys [experts,
 *   sequences, slotsPerExpert, width] f32, of the keys as a part of the slots
 */
function sumGradients(
  { slots, totals, before, shifts }: Record<"slots" | "totals" | "before" | "shifts", Tensor>,
  dslots: Tensor,
  { ofSequences }: Segments,
  { count: sequences }: Sequences,
): Record<"dsums" | "slotDots" | "dkeys", Tensor> {
  const { graph } = slots;
  const [experts, , slotsPerExpert, width] = slots.shape;
  const vector = vectorOf(width);
  const columns = width / vector;
  const dsums = graph.tensor("segment sums.gradient", slots.shape);
  const slotDots = graph.tensor("segment weights.gradient", totals.shape);
  const dkeys = graph.tensor("slot keys.start", [experts, sequences, slotsPerExpert, width]);
  graph.elementwise(
    "slots before segments dX",
    dkeys.size / vector,
    {
      dslots: read(dslots, vector),
      dots: read(rowDots(slots, dslots)),
      totals: read(totals),
      before: read(before),
      shifts: read(shifts),
      of_sequences: read(ofSequences, 2),
      dsums: write(dsums, vector),
      slot_dots: write(slotDots),
      dkeys: write(dkeys, vector),
    },
    `${placeOf(slots, columns, sequences)}
    var sum = number();
    var dot = 0f;
    for (var segment = own.y; segment > own.x; segment--) {
      let row = first + (segment - 1u) * per;
      // What later slots are a part of has the shift that this segment leaves.
      let after = max(before[row], shifts[row]);
      let own_part = exp(shifts[row] - after);
      let kept = exp(before[row] - after);
      dsums[row * ${columns}u + column] = sum * own_part;
      if (column == 0u) { slot_dots[row] = dot * own_part; }
      sum = sum * kept + dslots[row * ${columns}u + column] / totals[row];
      dot = dot * kept + dots[row] / totals[row];
    }
    dkeys[((slot / per * ${sequences}u + sequence) * per + slot % per) * ${columns}u + column] = sum;`,
    vector,
  );
  return { dsums, slotDots, dkeys };
}

/** Leaves each sequence's sums at its seat: those of all segments but the last, and of the last. */
function keepSums(
  memory: SlotMemory,
  { sums, masses, shifts }: SegmentSums,
  { ofSequences }: Segments,
  { count }: Sequences,
): void {
  const { graph } = sums;
  const [experts, , slotsPerExpert, width] = sums.shape;
  const numbers = width + 2;
  const half = experts * slotsPerExpert * numbers;
  graph.elementwise(
    "keep sums of segments",
    half * count,
    {
      sums: read(sums),
      masses: read(masses),
      shifts: read(shifts),
      of_sequences: read(ofSequences, 2),
      seats: read(memory.seats),
      memory: update(memory.sums),
    },
    `${placeOf(sums, numbers, count)}
    if (seats[sequence] >= ${memory.sums.shape[0]}u) { continue; }
    var whole = 0f;
    var open = 0f;
    var shift = vec2f();
    for (var segment = own.x; segment < own.y; segment++) {
      let row = first + segment * per;
      let after = max(shift.x, shift.y);
      whole = whole * exp(shift.x - after) + open * exp(shift.y - after);
      shift = vec2f(after, shifts[row]);
      open = masses[row];
      if (column < ${width}u) { open = sums[row * ${width}u + column]; }
    }
    if (column == ${width + 1}u) {
      whole = shift.x;
      open = shift.y;
    }
    let at = 2u * seats[sequence] * ${half}u + slot * ${numbers}u + column;
    memory[at] = whole;
    memory[at + ${half}u] = open;`,
  );
}

/**
 * WGSL for the place of an invocation `i` that goes through the segments of one sequence: its column,
 * slot and sequence, the segments that are the sequence's own, and the slot's first row, which is
 * `per` rows before that of the next segment.
 */
function placeOf(
  { shape: [, segments, slotsPerExpert] }: Tensor,
  columns: number,
  sequences: number,
): string {
  return `let column = i % ${columns}u;
    let sequence = i / ${columns}u % ${sequences}u;
    let slot = i / ${columns * sequences}u;
    let per = ${slotsPerExpert}u;
    let own = of_sequences[sequence];
    let first = slot / per * ${segments}u * per + slot % per;`;
}
