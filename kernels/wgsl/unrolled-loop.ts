import type { Capabilities } from "../runtime/device.ts";
import { range } from "./range.ts";

/** Turns of a loop that are written out one after the other, if not said otherwise. */
const TURNS = 4;

/**
 * WGSL of a loop over `index` from `first` to below `end`. For a GPU it is unrolled: no load waits
 * for another turn's sums, so that several are in flight. A software driver would run out of
 * registers. Sums are taken in the order of a plain loop.
 *
 * @param body statements that read `index`; what they add to is declared outside
 */
export function unrolledLoop(
  { cpu }: Capabilities,
  index: string,
  { first, end, step = 1, turns = TURNS }: {
    first: string;
    end: string;
    step?: number;
    turns?: number;
  },
  body: string,
): string {
  if (cpu || turns === 1) {
    return `for (var ${index} = ${first}; ${index} < ${end}; ${index} += ${step}u) { ${body} }`;
  }
  const bodies = range(turns).map((turn) => `{ let ${index} = next + ${turn * step}u; ${body} }`);
  return `{
    var next = ${first};
    for (; next + ${(turns - 1) * step}u < ${end}; next += ${turns * step}u) {
      ${bodies.join("\n      ")}
    }
    for (; next < ${end}; next += ${step}u) { let ${index} = next; ${body} }
  }`;
}
