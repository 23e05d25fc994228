/** Which ranks there are and where they run. */
export interface Topology {
  /** This process among all. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** Name of this rank's host. */
  readonly host: string;
  /** Name of every rank's host. */
  readonly hostOf: readonly string[];
  /** Ranks of this rank's host, ascending. */
  readonly hostRanks: readonly number[];
  /** Where this rank stands among them. */
  readonly place: number;
  /** The first rank of every host; the first of all is rank 0. */
  readonly leaders: readonly number[];
}

/**
 * Groups ranks by the machine they run on.
 *
 * @param machines what tells each rank's machine from all others
 * @param hosts its name
 */
export function groupByMachine(
  rank: number,
  machines: readonly string[],
  hosts: readonly string[],
): Topology {
  const ranksOf = Map.groupBy(machines.keys(), (other) => machines[other]);
  const hostRanks = ranksOf.get(machines[rank])!;
  return {
    rank,
    size: machines.length,
    host: hosts[rank],
    hostOf: hosts,
    hostRanks,
    place: hostRanks.indexOf(rank),
    leaders: [...ranksOf.values()].map(([first]) => first),
  };
}
