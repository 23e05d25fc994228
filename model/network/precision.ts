import type { Capabilities } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/**
 * `f32` computes everything in f32. `mixed` takes operands of matrix products and attention in f16
 * and keeps sums, the residual stream, norms, softmax, loss and weights in f32. `auto` is mixed on a
 * GPU with f16, where it is faster, and f32 on others and on software drivers.
 */
export type Precision = "auto" | "f32" | "mixed";

/**
 * Whether to compute in mixed precision on this device.
 *
 * @throws UserError if mixed precision is asked of a device without f16
 */
export function isMixed(precision: Precision, { f16, cpu, name }: Capabilities): boolean {
  if (precision === "mixed" && !f16) {
    throw new UserError(
      `${name} has no f16: use f32 (--precision=f32, or --train.precision=f32 in training).`,
    );
  }
  return precision === "mixed" || (precision === "auto" && f16 && !cpu);
}
