import type { DeviceLimits } from "../../kernels/benchmark.ts";
import type { LabelTime } from "../../kernels/runtime/profile.ts";

/** A kernel's time beside the least that the device's limits allow. */
export interface BoundTime extends LabelTime {
  /** What it moves by the rate of a copy, or its products by that of multiplications: the longer one. */
  readonly limitMilliseconds: number;
  readonly limit: "copy" | "multiply";
}

/** Sets the limit of each kernel beside its time. What stays in a cache may be faster than a copy. */
export function withLimits(
  times: readonly LabelTime[],
  { copy, multiply }: DeviceLimits,
): BoundTime[] {
  return times.map((time) => {
    const moving = time.bytes / copy.rate / 1e6;
    const multiplying = time.flops / multiply.rate / 1e9;
    const limit = multiplying > moving ? "multiply" : "copy";
    return { ...time, limitMilliseconds: Math.max(moving, multiplying), limit };
  });
}

/**
 * A table of the kernels of a plan: the time of each, its share of all, the time that the device's
 * limit allows, the share of the limit that it reaches, and how often it ran.
 */
export function profileTable(title: string, times: readonly BoundTime[]): string[] {
  const sum = (of: (time: BoundTime) => number) => times.reduce((all, time) => all + of(time), 0);
  const total = sum(({ milliseconds }) => milliseconds);
  const least = sum(({ limitMilliseconds }) => limitMilliseconds);
  return [
    `${title}: ${total.toFixed(2)} ms; the limits of all kernels together: ${least.toFixed(2)} ms`,
    "      took    share      limit     of it             runs  kernel",
    ...times.map(({ label, dispatches, milliseconds, limitMilliseconds, limit }) =>
      [
        `${milliseconds.toFixed(2).padStart(7)} ms`,
        `${(100 * milliseconds / total).toFixed(1)} %`.padStart(8),
        `${limitMilliseconds.toFixed(2).padStart(7)} ms`,
        `${(100 * limitMilliseconds / milliseconds).toFixed(0)} %`.padStart(7),
        ` ${limit.padEnd(8)}`,
        String(dispatches).padStart(5),
        ` ${label}`,
      ].join(" ")
    ),
  ];
}
