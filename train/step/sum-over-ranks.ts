import type { Communicator } from "../../kernels/ranks/communicator.ts";

/** Adds each of some numbers up over all ranks, which call it with as many numbers each. */
export type SumOverRanks = (numbers: Iterable<number>) => Promise<number[]>;

/** Adds in the order of ranks, so that all get the same bits. One rank gets its own numbers. */
export function sumOver(ranks: Communicator): SumOverRanks {
  return async (numbers) => {
    const [first, ...others] = await ranks.allGather([...numbers]);
    return first.map((number, i) => others.reduce((sum, own) => sum + own[i], number));
  };
}
