/** What started this process said about the ranks. */
export interface StartedRank {
  /** Which of the ranks it is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** Which of its host's ranks it is, from 0. */
  readonly hostRank: number;
  /** Whether Open MPI's library, or one that also speaks PMIx, is to be looked for first. */
  readonly openMpi: boolean;
  /** Process of `launchRanks`, if that started the ranks. */
  readonly launcher: number | undefined;
}

/** Variables that launchers set: Open MPI; MPICH and Intel MPI; Slurm's srun. */
const LAUNCHERS = [
  {
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    hostRank: "OMPI_COMM_WORLD_LOCAL_RANK",
  },
  { rank: "PMI_RANK", size: "PMI_SIZE", hostRank: "MPI_LOCALRANKID" },
  // The number of tasks of a step, as that of the job is also set where a batch script runs.
  { rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", hostRank: "SLURM_LOCALID" },
];

/** By what `launchRanks` tells the ranks its process. */
export const LAUNCHER_VARIABLE = "STEEL_LAUNCHER";

/**
 * Whether this process was started as one of several ranks, by `mpirun`, `mpiexec` or `srun`.
 *
 * Needs `--allow-env` for OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_RANK,
 * PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, PMIX_RANK
 * and STEEL_LAUNCHER.
 *
 * @returns undefined for a process alone, also if a launcher started one rank only
 */
export function startedRank(): StartedRank | undefined {
  const launcher = Deno.env.get(LAUNCHER_VARIABLE);
  for (const names of LAUNCHERS) {
    const [rank, size, hostRank] = [names.rank, names.size, names.hostRank].map((name) =>
      Number(Deno.env.get(name) ?? NaN)
    );
    if (!(rank >= 0 && size > 1)) continue;
    return {
      rank,
      size,
      hostRank: hostRank >= 0 ? hostRank : 0,
      openMpi: names === LAUNCHERS[0] || Deno.env.has("PMIX_RANK"),
      launcher: launcher === undefined ? undefined : Number(launcher),
    };
  }
  return undefined;
}
