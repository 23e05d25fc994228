import type { LabelTime } from "../../kernels/runtime/profile.ts";

/**
 * A table of the kernels of a plan: the time of each, its share, how often it ran, and the rate at
 * which it moved the bytes that it binds, which only matters where memory bandwidth is the limit.
 */
export function profileTable(title: string, times: readonly LabelTime[]): string[] {
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return [
    `${title}: ${total.toFixed(2)} ms`,
    ...times.map(({ label, dispatches, milliseconds, bytes }) => {
      const rate = bytes / milliseconds / 1e6;
      return [
        `${milliseconds.toFixed(2).padStart(10)} ms`,
        `${(100 * milliseconds / total).toFixed(1)} %`.padStart(7),
        `${rate.toFixed(rate < 10 ? 1 : 0).padStart(6)} GB/s`,
        String(dispatches).padStart(5),
        ` ${label}`,
      ].join(" ");
    }),
  ];
}
