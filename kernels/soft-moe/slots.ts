import { numberType, read, update, type Vector, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { range } from "../wgsl/range.ts";
import type { Spans } from "../layers/sequences.ts";
import { unrolledLoop } from "../wgsl/unrolled-loop.ts";

/*
 * The products between the tokens of a sequence and its slots; that of the backward, in which tokens
 * and slots both receive, is in `token-gradients.ts`. Where slots are of parts of sequences,
 * `sequences` are these parts.
 *
 * Slots are laid out [experts, sequences, slotsPerExpert, width], so that the rows of one expert lie
 * together for a batched matrix product. Slots that all sequences share have 1 for `sequences`.
 * Weights are [tokens, S] with S = experts · slotsPerExpert.
 */

/** Experts, and slots of each. */
export interface SlotLayout {
  readonly experts: number;
  readonly slotsPerExpert: number;
}

/**
 * Tokens of which a router reads the directions alone: t = x ⊙ weight, where the weight may be that of
 * an RMSNorm of x. Dividing by ‖t‖ leaves nothing else of the norm, so that it need not be computed.
 */
export interface SlotTokens {
  /** [tokens, width] f32. */
  readonly x: Tensor;
  /** [width] f32; ones when left out. */
  readonly weight?: Tensor;
}

/** Slots that one invocation accumulates at a time. */
export const SLOTS_AT_A_TIME = 8;
/**
 * How a GPU scores tokens: lanes share rows, several together, so that a slot is loaded once for all of
 * them. With a load of six slots for each row, these loads would take longer than those from memory.
 */
const SCORES = { rows: 4, lines: 2, lanes: 32 };
/** Parts of a sequence that are summed side by side on a GPU, to keep all of it busy. */
const SPLITS = 32;

/**
 * Scores of each token with each slot of its sequence: (t / ‖t‖) · slot where `norm` is given, which
 * then receives 1 / ‖t‖, and t · slot otherwise, with t = x or, with a weight, x ⊙ weight.
 *
 * @param x [tokens, width] f32 or f16
 * @param slots [experts, sequences or 1, slotsPerExpert, width] f32
 * @param options.weight [width] f32
 * @param options.norm inverse norms to write, [tokens] f32, and the smallest norm to divide by
 * @returns [tokens, S] f32; rows of padding hold numbers without meaning
 */
export function tokenSlotScores(
  x: Tensor,
  slots: Tensor,
  { index, count }: Spans,
  { weight, norm }: { weight?: Tensor; norm?: { inverse: Tensor; smallest: number } } = {},
): Tensor {
  const graph = x.graph;
  const { cpu } = graph.capabilities;
  const [tokens, width] = x.shape;
  const total = slotCount(slots);
  const vector = vectorOf(width);
  const columns = width / vector;
  const scores = graph.tensor("slot scores", [tokens, total]);
  // A software driver runs a workgroup on one core: there, one SIMD register of lanes is enough.
  const { rows, lines, lanes } = cpu ? { rows: 1, lines: 1, lanes: 8 } : SCORES;
  const each = (text: (row: number) => string) => range(rows).map(text).join(" ");
  const product = (a: string, b: string) => vector === 1 ? `${a} * ${b}` : `dot(${a}, ${b})`;
  const isShared = slots.shape[1] === 1 || rows === 1;

  for (const [number, chunk] of slotChunks(total).entries()) {
    const sums = [...chunk.map((slot) => `score${slot}`), ...norm ? ["square"] : []];
    const load = (slot: number, row: number) =>
      `number(slots[${slotRow(slots, `${slot}u`, `own${row}`)} * ${columns}u + column])`;
    const add = (slot: number, row: number, value: string) =>
      `score${slot}_${row} += ${product(`value${row}`, value)};`;
    const loop = (addScores: string, turns: number) =>
      unrolledLoop(
        graph.capabilities,
        "column",
        { first: "lane", end: `${columns}u`, step: lanes, turns },
        `${weight ? "let factor = weight[column]; " : ""}${
          each((row) =>
            `let value${row} = number(x[row${row} * ${columns}u + column])` +
            `${weight ? " * factor" : ""};`
          )
        }
      ${norm ? each((row) => `square_${row} += ${product(`value${row}`, `value${row}`)};`) : ""}
      ${addScores}`,
      );
    const shared = loop(
      chunk.map((slot) =>
        `{ let slot = ${load(slot, 0)}; ${each((row) => add(slot, row, "slot"))} }`
      ).join("\n      "),
      2,
    );
    const apart = () =>
      loop(chunk.map((slot) => each((row) => add(slot, row, load(slot, row)))).join("\n      "), 1);
    const result = (sum: number) => `partial[local.y][lane * ${sums.length}u + ${sum}u][${lanes}]`;
    const again = number > 0 ? update : write;
    graph.dispatch(
      "token slot scores",
      {
        x: read(x, vector),
        ...(weight && { weight: read(weight, vector) }),
        slots: read(slots, vector),
        index: read(index),
        scores: again(scores),
        ...(norm && { inverse_norm: again(norm.inverse) }),
      },
      `
alias number = ${numberType(vector)};
// Behind a sum's parts is the sum. One more than lanes, they begin in different banks.
var<workgroup> partial: array<array<array<f32, ${lanes + 1}>, ${rows * sums.length}>, ${lines}>;

@compute @workgroup_size(${lanes}, ${lines})
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let lane = local.x;
  let first = (group.x * ${lines}u + local.y) * ${rows}u;
  ${each((row) => `let row${row} = min(first + ${row}u, ${tokens - 1}u);`)}
  ${each((row) => `let own${row} = min(index[row${row}], ${count - 1}u);`)}
  ${each((row) => sums.map((sum) => `var ${sum}_${row} = 0f;`).join(" "))}
  ${isShared ? shared : `if (own0 == own${rows - 1}) ${shared} else { ${apart()} }`}
  ${
        each((row) =>
          sums.map((sum, i) => `partial[local.y][${row * sums.length + i}][lane] = ${sum}_${row};`)
            .join(" ")
        )
      }
  workgroupBarrier();
  for (var i = lane; i < ${rows * sums.length}u; i += ${lanes}u) {
    var sum = 0f;
    for (var part = 0u; part < ${lanes}u; part++) { sum += partial[local.y][i][part]; }
    partial[local.y][i][${lanes}] = sum;
  }
  workgroupBarrier();
  let row = first + lane;
  if (lane < ${rows}u && row < ${tokens}u) {
    ${
        norm
          ? `let scale = 1f / max(sqrt(${result(chunk.length)}), ${norm.smallest}f);
    inverse_norm[row] = scale;`
          : ""
      }
    ${
        chunk.map((slot, i) =>
          `scores[row * ${total}u + ${slot}u] = ${result(i)}${norm ? " * scale" : ""};`
        ).join(" ")
      }
  }
}`,
      [Math.ceil(tokens / (rows * lines))],
    );
  }
  return scores;
}

/**
 * Sums the tokens of each sequence into its slots: slot s = Σ over tokens of weights[t, s] · x[t], in
 * a fixed order.
 *
 * @param weights [tokens, S] f32
 * @param x [tokens, width] f32 or f16
 * @param factors.scale a further factor of each token, [tokens] f32
 * @param factors.weight a further factor of each column, [width] f32
 * @returns [experts, sequences, slotsPerExpert, width] f32; zeros for empty sequences
 */
export function gatherTokens(
  weights: Tensor,
  x: Tensor,
  { bounds, count, longest, parts = SPLITS }: Spans,
  { experts, slotsPerExpert }: SlotLayout,
  { scale, weight }: { scale?: Tensor; weight?: Tensor } = {},
): Tensor {
  const graph = x.graph;
  const width = x.shape[1];
  const vector = vectorOf(width);
  const columns = width / vector;
  const total = experts * slotsPerExpert;
  const splits = graph.capabilities.cpu ? 1 : Math.min(parts, longest);
  const partial = graph.tensor("partial slots", [count, splits, total, width]);
  const row = numbersOfRow("weights", total);
  for (const [number, chunk] of slotChunks(total).entries()) {
    const add = [
      row.load("token", "", chunk),
      `let value = number(x[token * ${columns}u + column])${scale ? " * scale[token]" : ""};`,
      ...chunk.map((slot) => `sum${slot} += ${row.number(slot, "")} * value;`),
    ].join(" ");
    graph.dispatch(
      "gather tokens",
      {
        weights: read(weights, row.vector),
        x: read(x, vector),
        bounds: read(bounds, 2),
        partial: (number > 0 ? update : write)(partial, vector),
        ...(scale && { scale: read(scale) }),
      },
      `
alias number = partial_type;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  let sequence = id.y;
  if (column >= ${columns}u) { return; }
  let limits = bounds[sequence];
  let share = (limits.y - limits.x + ${splits - 1}u) / ${splits}u;
  let first = limits.x + id.z * share;
  ${chunk.map((slot) => `var sum${slot} = number();`).join(" ")}
  ${
        unrolledLoop(graph.capabilities, "token", {
          first: "first",
          end: "min(first + share, limits.y)",
        }, add)
      }
  let row = (sequence * ${splits}u + id.z) * ${total}u;
  ${
        chunk.map((slot) => `partial[(row + ${slot}u) * ${columns}u + column] = sum${slot};`)
          .join("\n  ")
      }
}`,
      [Math.ceil(columns / 64), count, splits],
    );
  }
  const slots = graph.tensor("slots", [experts, count, slotsPerExpert, width]);
  graph.elementwise(
    "add gathered tokens",
    slots.size / vector,
    {
      partial: read(partial, vector),
      ...(weight && { weight: read(weight, vector) }),
      slots: write(slots, vector),
    },
    `let row = i / ${columns}u;
    let sequence = row / ${slotsPerExpert}u % ${count}u;
    let slot = row / ${slotsPerExpert * count}u * ${slotsPerExpert}u + row % ${slotsPerExpert}u;
    var sum = number();
    let first = (sequence * ${splits * total}u + slot) * ${columns}u + i % ${columns}u;
    ${
      unrolledLoop(
        graph.capabilities,
        "part",
        { first: "0u", end: `${splits}u` },
        `sum += partial[first + part * ${total * columns}u];`,
      )
    }
    slots[i] = sum${weight ? ` * weight[i % ${columns}u]` : ""};`,
    vector,
  );
  return slots;
}

/**
 * Gives each token a sum of slots: y[t] = Σ over s of weights[t, s] · slots[s], plus residual[t].
 *
 * @param weights [tokens, S] f32
 * @param slots [experts, sequences or 1, slotsPerExpert, width] f32
 * @param residual [tokens, width] f32
 * @returns [tokens, width] f32; rows of padding keep their residual, or are 0
 */
export function scatterSlots(
  weights: Tensor,
  slots: Tensor,
  { index, count }: Spans,
  residual?: Tensor,
): Tensor {
  const graph = weights.graph;
  const width = slots.shape.at(-1)!;
  const vector = vectorOf(width);
  const columns = width / vector;
  const total = slotCount(slots);
  const y = graph.tensor("combined slots", [weights.shape[0], width]);
  const sums = range(total).map((slot) =>
    `sum += weights[token * ${total}u + ${slot}u] *
        slots[${slotRow(slots, `${slot}u`, "sequence")} * ${columns}u + i % ${columns}u];`
  );
  graph.elementwise(
    "scatter slots",
    y.size / vector,
    {
      weights: read(weights),
      slots: read(slots, vector),
      index: read(index),
      ...residual && { residual: read(residual, vector) },
      y: write(y, vector),
    },
    `let token = i / ${columns}u;
    let sequence = index[token];
    var sum = ${residual ? "residual[i]" : "number()"};
    if (sequence < ${count}u) {
      ${sums.join("\n      ")}
    }
    y[i] = sum;`,
    vector,
  );
  return y;
}

/**
 * WGSL that reads the numbers of a token's row, which lanes share, as vectors where the length allows:
 * a load of one number keeps a GPU busy for as long as one of four.
 *
 * @param name of the binding
 * @param length numbers of a row
 */
export function numbersOfRow(name: string, length: number): {
  /** How the binding is to be seen. */
  readonly vector: Vector;
  /** Loads some numbers of a row, under names of a turn of an unrolled loop. */
  load(row: string, turn: number | "", columns: readonly number[]): string;
  /** A number that was loaded. */
  number(column: number, turn: number | ""): string;
} {
  const vector = length % 4 === 0 ? 4 : length % 2 === 0 ? 2 : 1;
  const partOf = (column: number) => Math.floor(column / vector);
  const at = (part: number, turn: number | "") => `${name}${turn}_${part}`;
  return {
    vector,
    load: (row, turn, columns) =>
      [...new Set(columns.map(partOf))].map((part) =>
        `let ${at(part, turn)} = ${name}[${row} * ${length / vector}u + ${part}u];`
      ).join(" "),
    number: (column, turn) =>
      `${at(partOf(column), turn)}${vector === 1 ? "" : `[${column % vector}]`}`,
  };
}

/** How many slots a sequence has. */
export function slotCount(slots: Tensor): number {
  return slots.shape[0] * slots.shape[2];
}

/** WGSL for the row of a slot of a sequence. */
export function slotRow(
  { shape: [, sequences, perExpert] }: Tensor,
  slot: string,
  sequence: string,
) {
  const own = sequences === 1 ? "0u" : sequence;
  return `((${slot} / ${perExpert}u * ${sequences}u + ${own}) * ${perExpert}u + ${slot} % ${perExpert}u)`;
}

/** The slots in groups of as many as one invocation accumulates at a time. */
export function slotChunks(total: number): number[][] {
  return range(Math.ceil(total / SLOTS_AT_A_TIME)).map((chunk) =>
    range(total).slice(chunk * SLOTS_AT_A_TIME, (chunk + 1) * SLOTS_AT_A_TIME)
  );
}
