import { UserError } from "../runtime/user-error.ts";
import { LAUNCHER_VARIABLES } from "./environment.ts";
import { libc, readSystemFile, terminalOf } from "./libc.ts";
import { descendants } from "./processes.ts";

/** Debian's package of `mpirun` and the library that ranks load. */
export const MPI_PACKAGE = "openmpi-bin";

/** Signals that the ranks get in the launcher's place, by their numbers. */
const FORWARDED = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Helpers of launchers, which a signal would make kill the ranks. */
const HELPERS = ["orted", "prted", "hydra_pmi_proxy"];

/**
 * Settings of Open MPI 4 (OMPI_) and 5 (PRTE_); MPICH does not know them. As variables they need no
 * command line that differs from one version to the other.
 */
export const MPIRUN_SETTINGS: Readonly<Record<string, string>> = {
  // Containers have no other user.
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  PRTE_ALLOW_RUN_AS_ROOT: "1",
  PRTE_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  // How many ranks there are is decided by GPUs, not by cores.
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
  // Otherwise all threads of a rank, copying ones too, would share one core.
  OMPI_MCA_hwloc_base_binding_policy: "none",
  PRTE_MCA_hwloc_default_binding_policy: "none",
  // The ranks themselves tell what failed, once.
  OMPI_MCA_orte_execute_quiet: "1",
  PRTE_MCA_prte_execute_quiet: "1",
  // MPI carries little within one machine, and by this way leaves no file if all are killed.
  OMPI_MCA_pml: "ob1",
  OMPI_MCA_btl: "self,tcp",
  OMPI_MCA_btl_tcp_if_include: "lo",
};

/**
 * Starts this program again as several ranks of this machine, with the same arguments, through
 * `mpirun`, and waits for their end. Rank 0 writes to this process's terminal (see `enterRank`).
 *
 * SIGINT, SIGTERM and SIGHUP go to the ranks, which are expected to end in order. If this process is
 * killed, the ranks see that it is gone and end too.
 *
 * Needs `--allow-run=mpirun` and `--allow-ffi`.
 *
 * @returns the status to end with: that of the ranks, of the first that failed if one did
 * @throws UserError with the command that installs MPI, if there is no `mpirun`; or if that is killed
 */
export async function launchRanks(ranks: number): Promise<number> {
  const mpirun = start(ranks);
  let forwarded = false;
  const listeners = Object.entries(FORWARDED).map(([name, signal]) => {
    const listener = () => {
      forwarded = true;
      forward(mpirun.pid, signal);
    };
    Deno.addSignalListener(name as Deno.Signal, listener);
    return [name as Deno.Signal, listener] as const;
  });
  const { code, signal } = await mpirun.status;
  for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
  if (signal !== null && !forwarded) {
    throw new UserError(`mpirun was ended by ${signal}, and the ranks with it.`);
  }
  return code;
}

function start(ranks: number): Deno.ChildProcess {
  const [, ...rest] = ownCommandLine();
  const stdout = terminalOf(1);
  const stderr = terminalOf(2);
  try {
    return new Deno.Command("mpirun", {
      args: ["-np", String(ranks), Deno.execPath(), ...rest],
      env: {
        ...MPIRUN_SETTINGS,
        [LAUNCHER_VARIABLES.process]: String(Deno.pid),
        ...(stdout && { [LAUNCHER_VARIABLES.stdout]: stdout }),
        ...(stderr && { [LAUNCHER_VARIABLES.stderr]: stderr }),
      },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      // Ctrl-C would otherwise reach mpirun too, which kills the ranks at once.
      detached: true,
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError(
      `${ranks} ranks are started by mpirun, which is not on PATH. Install it: as root, apt-get ` +
        `update && apt-get install -y --no-install-recommends ${MPI_PACKAGE}. Without it one GPU ` +
        `can be used.`,
    );
  }
}

/** How this process was called, Deno's own flags included. */
export function ownCommandLine(): string[] {
  const text = new TextDecoder().decode(readSystemFile("/proc/self/cmdline"));
  return [Deno.execPath(), ...text.split("\0").slice(1, -1)];
}

/** Passes a signal on to the ranks, or to mpirun if it has not started any yet. */
function forward(mpirun: number, signal: number): void {
  const ranks = descendants(mpirun).filter(({ name }) => !HELPERS.includes(name));
  for (const { pid } of ranks.length > 0 ? ranks : [{ pid: mpirun }]) libc().kill(pid, signal);
}
