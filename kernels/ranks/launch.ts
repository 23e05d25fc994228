import { startableEnvironment } from "../host/startable-environment.ts";
import { UserError } from "../runtime/user-error.ts";
import { LAUNCHER_VARIABLE } from "./environment.ts";
import { libc, readSystemFile } from "./linux/libc.ts";
import { descendants } from "./linux/processes.ts";

/** Debian's package of `mpirun` and the library that ranks load. */
export const MPI_PACKAGE = "openmpi-bin";

/** Shells count the exit status of a program that a signal ended from here. */
const STATUS_OF_SIGNALS = 128;

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

/** There is no `mpirun` on PATH; the message is the command that installs it. */
export class NoMpirun extends UserError {}

/** Says that the ranks are to stop, and with which exit status: 128 and the number of a signal. */
export interface StopReason {
  /** Such as 130 for SIGINT. */
  readonly status: number;
}

/**
 * Starts this program again as several ranks of this machine, with the same arguments, through
 * `mpirun`, and waits for their end. Rank 0 writes to this process's terminal (see `enterRank`). If
 * this process is killed, the ranks see that it is gone and end too.
 *
 * Needs `--allow-run=/usr/bin/mpirun`, `--allow-env=LD_LIBRARY_PATH` and `--allow-ffi`.
 *
 * @param stop aborted when the ranks are to stop, with a {@linkcode StopReason}: they get its signal
 *   and are expected to end in order
 * @returns the status to end with: that of the ranks, of the first that failed if one did
 * @throws NoMpirun with the command that installs MPI, if there is no `mpirun`
 * @throws UserError if it is killed, or is another than these permissions are for
 */
export async function launchRanks(ranks: number, stop: AbortSignal): Promise<number> {
  const mpirun = start(ranks);
  const onStop = () => forward(mpirun.pid, (stop.reason as StopReason).status - STATUS_OF_SIGNALS);
  stop.addEventListener("abort", onStop);
  if (stop.aborted) onStop();
  const { code, signal } = await mpirun.status;
  stop.removeEventListener("abort", onStop);
  if (signal !== null && !stop.aborted) {
    throw new UserError(`mpirun was ended by ${signal}, and the ranks with it.`);
  }
  return code;
}

function start(ranks: number): Deno.ChildProcess {
  const [, ...rest] = ownCommandLine();
  // mpirun may have to be started without it.
  const libraries = Deno.env.get("LD_LIBRARY_PATH");
  const program = [...libraries ? ["env", `LD_LIBRARY_PATH=${libraries}`] : [], Deno.execPath()];
  try {
    return new Deno.Command("mpirun", {
      args: ["-np", String(ranks), ...program, ...rest],
      env: {
        ...startableEnvironment(),
        ...MPIRUN_SETTINGS,
        [LAUNCHER_VARIABLE]: String(Deno.pid),
      },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      // Ctrl-C would otherwise reach mpirun too, which kills the ranks at once.
      detached: true,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new NoMpirun(
        `${ranks} ranks are started by mpirun, which is not on PATH. Install it: as root, apt-get ` +
          `update && apt-get install -y --no-install-recommends ${MPI_PACKAGE}. Without it one GPU ` +
          `can be used.`,
      );
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new UserError(
        `Deno did not let this command start mpirun, which must be /usr/bin/mpirun ` +
          `(${error.message}): start the ranks yourself, by mpirun -np ${ranks} and this command.`,
      );
    }
    throw error;
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
