import { type Binding, read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";

/** How inputs are dropped. */
export interface Dropout {
  /** The share of numbers that become 0, from 0 to below 1. */
  readonly rate: number;
  /** [1] u32, which the host writes before each replay: another number drops others. */
  readonly seed: Tensor;
  /** [1] u32, which tells this use from others with the same seed. */
  readonly salt: Tensor;
}

/**
 * y = x / (1 − rate) where a number is kept, 0 where it is dropped (Srivastava et al., 2014). What is
 * dropped depends on seed, salt and place alone, so that the gradient drops the same, without a mask
 * in memory.
 *
 * @param x any shape, f32 or f16
 * @returns of the same shape and type
 */
export function dropout(x: Tensor, dropout: Dropout): Tensor {
  const graph = x.graph;
  const y = graph.tensor("dropout", x.shape, x.dtype);
  record("dropout", x, write(y), dropout, "=");
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const { tensor, accumulate } = target;
    if (accumulate) record("dropout dX", dy, update(tensor), dropout, "+=");
    else record("dropout dX", dy, write(tensor), dropout, "=");
  });
  return y;
}

function record(
  label: string,
  from: Tensor,
  into: Binding,
  { rate, seed, salt }: Dropout,
  operator: "=" | "+=",
): void {
  from.graph.elementwise(
    label,
    from.size,
    { source: read(from), into, seed: read(seed), salt: read(salt) },
    // An integer hash of the place, then of that with the key (Wellons, "lowbias32").
    `var bits = i;
    for (var round = 0u; round < 2u; round++) {
      bits = (bits ^ (bits >> 16u)) * 0x7feb352du;
      bits = (bits ^ (bits >> 15u)) * 0x846ca68bu;
      bits ^= bits >> 16u;
      if (round == 0u) { bits ^= seed[0] ^ (salt[0] * 0x9e3779b9u); }
    }
    let kept = select(0f, ${1 / (1 - rate)}f, bits >= ${Math.floor(rate * 2 ** 32)}u);
    into[i] ${operator} into_type(kept * number(source[i]));`,
  );
}
