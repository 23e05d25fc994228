import { range } from "../../wgsl/range.ts";

/** The stages in which a product goes through the inner dimension, as statements of WGSL. */
export interface MatmulStages {
  /** WGSL of how many there are, u32. */
  readonly stages: string;
  /** Multiplications of fragments one after the other in a stage. */
  readonly steps: number;
  /** Reads the next stage into registers. */
  readonly fetch: string;
  /** Puts the registers of a stage into a buffer of workgroup memory. */
  readonly put: (buffer: number) => string;
  /** Loads a step's fragments from a buffer into one of the sets of fragments. */
  readonly load: (buffer: number, step: number, set: number) => string;
  /** Multiplies a set of fragments into the sums. */
  readonly multiply: (set: number) => string;
}

/** One buffer: the next stage is on its way into registers while this one is multiplied. */
export function singleBuffered({ stages, steps, fetch, put, load, multiply }: MatmulStages) {
  return `${fetch}
  for (var stage = 0u; stage < ${stages}; stage++) {
${put(0)}
    workgroupBarrier();
${fetch}
${range(steps).map((step) => `${load(0, step, 0)}\n${multiply(0)}`).join("\n")}
    workgroupBarrier();
  }`;
}

/**
 * Two buffers: one barrier a stage, and every subgroup leaves it with the fragments of its next
 * multiplications already in registers. Stages go in pairs; one past the end must read as zeros.
 */
export function doubleBuffered({ stages, steps, fetch, put, load, multiply }: MatmulStages) {
  const stageOf = (buffer: number) =>
    range(steps).map((step) => {
      const now = (buffer * steps + step) % 2, next = 1 - now;
      const loads = step < steps - 1 ? load(buffer, step + 1, next) : `${put(1 - buffer)}
    workgroupBarrier();
${fetch}
${load(1 - buffer, 0, next)}`;
      return `${loads}\n${multiply(now)}`;
    }).join("\n");
  return `${fetch}
${put(0)}
  workgroupBarrier();
${fetch}
${load(0, 0, 0)}
  for (var pair = 0u; pair < (${stages} + 1u) / 2u; pair++) {
${stageOf(0)}
${stageOf(1)}
  }`;
}
