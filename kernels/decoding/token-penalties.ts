import { read, update } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { SUPPRESSED } from "./likeliest.ts";

/**
 * Marks the tokens that each sequence holds.
 *
 * @param ids [rows] u32
 * @param sequence [rows] u32: which sequence a row belongs to; rows beyond the last are left out
 * @param seen [sequences, vocabulary] u32, set to 1
 */
export function rememberTokens(ids: Tensor, sequence: Tensor, seen: Tensor): void {
  const [sequences, vocabulary] = seen.shape;
  ids.graph.elementwise(
    "remember tokens",
    ids.size,
    { ids: read(ids), sequence: read(sequence), seen: update(seen) },
    `if (sequence[i] < ${sequences}u) { seen[sequence[i] * ${vocabulary}u + ids[i]] = 1u; }`,
  );
}

/**
 * Makes tokens that a sequence already holds less likely, in place: positive logits are divided by
 * the penalty, negative ones are multiplied by it (arXiv 1909.05858).
 *
 * @param logits [sequences, vocabulary] f32
 * @param seen of {@linkcode rememberTokens}
 */
export function penalizeTokens(logits: Tensor, seen: Tensor, penalty: number): void {
  logits.graph.elementwise(
    "penalize tokens",
    logits.size,
    { logits: update(logits), seen: read(seen) },
    `if (seen[i] != 0u) {
      logits[i] *= select(${Math.fround(penalty)}f, ${Math.fround(1 / penalty)}f, logits[i] > 0f);
    }`,
  );
}

/**
 * Makes tokens impossible, in place.
 *
 * @param logits [sequences, vocabulary] f32
 * @param ids [count] u32
 */
export function suppressTokens(logits: Tensor, ids: Tensor): void {
  const [sequences, vocabulary] = logits.shape;
  logits.graph.elementwise(
    "suppress tokens",
    sequences * ids.size,
    { ids: read(ids), logits: update(logits) },
    `logits[i / ${ids.size}u * ${vocabulary}u + ids[i % ${ids.size}u]] = ${SUPPRESSED}f;`,
  );
}
