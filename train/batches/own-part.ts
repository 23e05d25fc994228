import type { Communicator } from "../../kernels/ranks/communicator.ts";

/** What falls to a rank of things that all ranks have in the same order: every `size`-th of them. */
export function ownPart<T>(
  things: readonly T[],
  { rank, size }: Pick<Communicator, "rank" | "size">,
): T[] {
  return things.filter((_, index) => index % size === rank);
}
