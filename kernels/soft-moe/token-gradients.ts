import { numberType, read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { NO_SEQUENCE, type Spans } from "../layers/sequences.ts";
import { addPartialSums } from "../wgsl/column-sums.ts";
import { range } from "../wgsl/range.ts";
import {
  numbersOfRow,
  slotChunks,
  slotCount,
  slotRow,
  SLOTS_AT_A_TIME,
  type SlotTokens,
} from "./slots.ts";

/** Tokens that one invocation goes through, and how many of them a GPU has in flight together. */
const TOKENS = 64;
const TOGETHER = 4;

/**
 * The gradients of the tokens t = x ⊙ weight, by their factors, and of the keys, in one pass over x:
 * dt = Σ factor[s] · dsum[s] + factor[S + s] · key[s], plus factor[2 S] · t; dx += weight ⊙ dt,
 * dweight += Σ over tokens of x ⊙ dt, and dkey[s] = Σ over tokens of factor[S + s] · t.
 *
 * @param scores.keys [experts, 1, slotsPerExpert, width] f32, made of the parameter `phi`
 * @param factors [tokens, 2 S + 1 or more] f32, of `softmaxGradients`
 * @param dsums [experts, spans, slotsPerExpert, width] f32
 * @returns the gradient of the keys, [S, width] f32; undefined where phi is frozen
 */
export function addTokenGradients(
  { tokens: { x, weight }, phi, keys }: { tokens: SlotTokens; phi: Tensor; keys: Tensor },
  factors: Tensor,
  dsums: Tensor,
  { index, count }: Spans,
): Tensor | undefined {
  const graph = x.graph;
  const dx = graph.gradientTarget(x);
  const dweight = weight && graph.gradientTarget(weight);
  const half = dx && graph.halfGradient(x);
  const [tokens, width] = x.shape;
  const total = keys.size / width;
  const parts = Math.ceil(tokens / TOKENS);
  const partialKeys = phi.gradient && graph.tensor("slot keys.partial", [parts, total, width]);
  const partialWeight = dweight && graph.tensor(`${weight!.name}.partial`, [parts, width]);
  const vector = vectorOf(width);
  const columns = width / vector;
  const turns = range(graph.capabilities.cpu ? 1 : TOGETHER);
  const each = (text: (turn: number) => string) => turns.map(text).join("\n    ");
  const handSums = slotsInHand("dsums", dsums, columns);
  const handKeys = slotsInHand("keys", keys, columns);
  const row = numbersOfRow("factors", factors.shape[1]);
  const slope = (turn: number) =>
    `${handSums.take(`span${turn}`)}
    var slope${turn} = ${row.number(2 * total, turn)} * value${turn};
    ${
      range(total).map((slot) =>
        `slope${turn} += ${row.number(slot, turn)} * ${handSums.value(slot, `span${turn}`)} + ` +
        `${row.number(total + slot, turn)} * ${handKeys.value(slot, "0u")};`
      ).join("\n    ")
    }`;

  for (const [number, chunk] of slotChunks(total).entries()) {
    // The tokens' own gradients take all slots; those of keys take too many registers for that.
    const withTokens = number === 0 && (dx || dweight);
    if (!withTokens && !partialKeys) continue;
    const needed = withTokens ? range(2 * total + 1) : chunk.map((slot) => total + slot);
    graph.dispatch(
      "token gradients",
      {
        x: read(x, vector),
        ...weight && { weight: read(weight, vector) },
        factors: read(factors, row.vector),
        ...withTokens && {
          keys: read(keys, vector),
          dsums: read(dsums, vector),
          index: read(index),
          ...dx && { dx: (dx.accumulate ? update : write)(dx.tensor, vector) },
          ...half && { half: write(half, vector) },
          ...partialWeight && { partial_weight: write(partialWeight, vector) },
        },
        ...partialKeys && {
          partial_keys: (number === 0 ? write : update)(partialKeys, vector),
        },
      },
      `
alias number = ${numberType(vector)};

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= ${columns}u) { return; }
  let end = min(id.y * ${TOKENS}u + ${TOKENS}u, ${tokens}u);
  let columns_weight = ${weight ? "weight[column]" : "number(1f)"};
  ${partialKeys ? chunk.map((slot) => `var dkey${slot} = number();`).join(" ") : ""}
  var dweight = number();
  ${withTokens ? `${handSums.declare}\n  ${handKeys.declare}\n  ${handKeys.take("0u")}` : ""}
  for (var next = id.y * ${TOKENS}u; next < end; next += ${turns.length}u) {
    // Loads of several tokens come before the first store, so that none waits for it.
    ${each((turn) => `let token${turn} = min(next + ${turn}u, end - 1u);`)}
    ${each((turn) => `let at${turn} = token${turn} * ${columns}u + column;`)}
    ${each((turn) => row.load(`token${turn}`, turn, needed))}
    ${each((turn) => `let x${turn} = x[at${turn}];`)}
    ${withTokens && dx?.accumulate ? each((turn) => `let before${turn} = dx[at${turn}];`) : ""}
    ${each((turn) => `let value${turn} = x${turn} * columns_weight;`)}
    ${
        withTokens
          ? `${each((turn) => `let span${turn} = min(index[token${turn}], ${count - 1}u);`)}
    ${each(slope)}`
          : ""
      }
    ${
        each((turn) =>
          `if (next + ${turn}u < end) {
      ${
            partialKeys
              ? chunk.map((slot) =>
                `dkey${slot} += ${row.number(total + slot, turn)} * value${turn};`
              ).join(" ")
              : ""
          }
      ${withTokens ? `dweight += slope${turn} * x${turn};` : ""}
      ${
            withTokens && dx
              ? `let sum = ${dx.accumulate ? `before${turn} + ` : ""}columns_weight * slope${turn};
      dx[at${turn}] = sum;${half ? ` half[at${turn}] = half_type(sum);` : ""}`
              : ""
          }
    }`
        )
      }
  }
  ${
        partialKeys
          ? chunk.map((slot) =>
            `partial_keys[(id.y * ${total}u + ${slot}u) * ${columns}u + column] = dkey${slot};`
          ).join("\n  ")
          : ""
      }
  ${withTokens && partialWeight ? `partial_weight[id.y * ${columns}u + column] = dweight;` : ""}
}`,
      [Math.ceil(columns / 64), parts],
    );
  }
  if (partialWeight) addPartialSums(partialWeight, dweight!.tensor);
  if (!partialKeys) return undefined;
  const dkeys = graph.tensor("slot keys.gradient", [total, width]);
  addPartialSums(partialKeys, dkeys, false);
  return dkeys;
}

/** WGSL that reads slots of a sequence, for an invocation that goes through tokens at one `column`. */
interface SlotsInHand {
  /** Declares variables, outside of the loop over tokens. */
  readonly declare: string;
  /** Loads the slots of a token's sequence, unless they are those of the token before. */
  take(sequence: string): string;
  /** A slot's vector of columns. */
  value(slot: number, sequence: string): string;
}

/**
 * Keeps a sequence's slots in registers from token to token: where each token loads six of them, these
 * loads take longer than those from memory. Too many slots are loaded for each token.
 *
 * @param name of the binding
 */
function slotsInHand(name: string, slots: Tensor, columns: number): SlotsInHand {
  const all = range(slotCount(slots));
  const load = (slot: number, sequence: string) =>
    `${name}[${slotRow(slots, `${slot}u`, sequence)} * ${columns}u + column]`;
  if (all.length > SLOTS_AT_A_TIME) return { declare: "", take: () => "", value: load };
  return {
    declare: `var ${name}_in_hand = ${NO_SEQUENCE}u;
  ${all.map((slot) => `var ${name}${slot} = number();`).join(" ")}`,
    take: (sequence) =>
      `if (${name}_in_hand != ${sequence}) {
        ${name}_in_hand = ${sequence};
        ${all.map((slot) => `${name}${slot} = ${load(slot, sequence)};`).join(" ")}
      }`,
    value: (slot) => `${name}${slot}`,
  };
}
