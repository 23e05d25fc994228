import { type Binding, update, type Vector, write } from "../runtime/dispatch.ts";
import type { GradientTarget } from "../runtime/graph.ts";

/** Binds a gradient under the access that its target asks for. */
export function bound({ tensor, accumulate }: GradientTarget, vector: Vector = 1): Binding {
  return (accumulate ? update : write)(tensor, vector);
}

/** WGSL's assignment to a gradient: it is set, or added to. */
export function set({ accumulate }: GradientTarget): string {
  return accumulate ? "+=" : "=";
}
