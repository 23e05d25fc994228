import type { Capabilities } from "../runtime/device.ts";
import { range } from "./range.ts";

/** Turns of a loop that are written out one behind the other. */
const TURNS = 4;

/**
 * WGSL of a loop over `index` from `first` to below `end`, for a GPU several turns at a time: no
 * load waits for another turn's sums, so that as many are on their way. A software driver would run
 * out of registers. The order is that of a plain loop.
 *
 * @param body statements that read `index`; what they add to is declared outside
 */
export function unrolledLoop(
  { cpu }: Capabilities,
  index: string,
  { first, end, step = 1 }: { first: string; end: string; step?: number },
  body: string,
): string {
  if (cpu) {
    return `for (var ${index} = ${first}; ${index} < ${end}; ${index} += ${step}u) { ${body} }`;
  }
  const turns = range(TURNS).map((turn) => `{ let ${index} = next + ${turn * step}u; ${body} }`);
  return `{
    var next = ${first};
    for (; next + ${(TURNS - 1) * step}u < ${end}; next += ${TURNS * step}u) {
      ${turns.join("\n      ")}
    }
    for (; next < ${end}; next += ${step}u) { let ${index} = next; ${body} }
  }`;
}
