import { read, update } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { SUPPRESSED } from "./likeliest.ts";

/**
 * Forgets what sequences held whose places new ones take.
 *
 * @param sequence [count] u32: which sequences; those beyond the last are left out
 * @param seen [sequences, vocabulary] u32, set to 0
 */
export function forgetTokens(sequence: Tensor, seen: Tensor): void {
  const [sequences, vocabulary] = seen.shape;
  sequence.graph.elementwise(
    "forget tokens",
    sequence.size * vocabulary,
    { sequence: read(sequence), seen: update(seen) },
    `let place = sequence[i / ${vocabulary}u];
    if (place < ${sequences}u) { seen[place * ${vocabulary}u + i % ${vocabulary}u] = 0u; }`,
  );
}

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
 * @param logits [rows, vocabulary] f32
 * @param seen of {@linkcode rememberTokens}
 * @param sequence [rows] u32: which sequence a row continues; rows beyond the last are left out
 * @param factors [rows, 2] f32: each row's penalty, and 1 / penalty
 */
export function penalizeTokens(
  logits: Tensor,
  seen: Tensor,
  sequence: Tensor,
  factors: Tensor,
): void {
  const [sequences, vocabulary] = seen.shape;
  logits.graph.elementwise(
    "penalize tokens",
    logits.size,
    {
      logits: update(logits),
      seen: read(seen),
      sequence: read(sequence),
      factors: read(factors, 2),
    },
    `let row = i / ${vocabulary}u;
    let place = sequence[row];
    if (place < ${sequences}u && seen[place * ${vocabulary}u + i % ${vocabulary}u] != 0u) {
      logits[i] *= select(factors[row].x, factors[row].y, logits[i] > 0f);
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
