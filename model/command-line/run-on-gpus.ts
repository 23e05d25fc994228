import { GPUS } from "../../kernels/host/command-arguments.ts";
import { installMissing, mayInstall } from "../../kernels/host/install-packages.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { Stopped, StopSignals } from "../../kernels/host/stop-signals.ts";
import { aloneOn, type Communicator, RanksFailed } from "../../kernels/ranks/communicator.ts";
import { connectRanks } from "../../kernels/ranks/connect.ts";
import { type StartedRank, startedRank } from "../../kernels/ranks/environment.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { numberFlag } from "./number-flag.ts";
import { takeArgument } from "./take-argument.ts";
import { atLeastOne } from "../number-range.ts";

/** Milliseconds between the moments at which two ranks tell an error, and the most of them. */
const TURN = 3000;
const LATEST_TURN = 10;

/** How a command that can compute on several GPUs gets the ranks that do it together. */
export interface CommandRanks {
  /**
   * The ranks, of which this process is one. Called once all else that can be wrong has been checked,
   * as the process that a person has started may end here: it starts the ranks, each of which runs
   * the whole command, waits for them and ends with their status.
   *
   * @param gpus the value of `--gpus`; one GPU if it is not given
   * @throws UserError if the machine has fewer GPUs, or if ranks cannot be started
   */
  start(gpus: string | undefined): Promise<Communicator>;
  /** Does what one process does for all; may be called before {@linkcode CommandRanks.start}. */
  once(work: () => Promise<void>): Promise<void>;
  /** The same for what one process of each machine does, such as installing a driver. */
  onceOnEachHost(work: () => Promise<void>): Promise<void>;
}

/**
 * Runs a command line on one GPU or on several, each with a process of its own, a rank. Ranks are
 * started by `start`, or by the user's own `mpirun` or `srun`. An error on one of them ends all, and
 * is told once. The command's status is the same on all ranks.
 *
 * With one GPU nothing of MPI is loaded. Needs `--allow-env` as `startedRank` says and
 * `--allow-sys=hostname`; for several GPUs also what `launchRanks` and `enterRank` need.
 */
export async function runOnGpus(command: (ranks: CommandRanks) => Promise<void>): Promise<void> {
  await runCommand(async () => {
    // mpirun starts any program: nothing may start it that was not asked to.
    if (takeGpus(Deno.args).gpus === undefined) {
      await Deno.permissions.revoke({ name: "run", command: "/usr/bin/mpirun" });
    }
    const started = startedRank();
    if (started) return await runAsRank(started, command);
    await command(onOneProcess);
  });
}

/** What a command gets that nobody started as a rank. */
export const onOneProcess: CommandRanks = {
  start: startRanks,
  once: (work) => work(),
  onceOnEachHost: (work) => work(),
};

/** Takes `--gpus=N` or `--gpus N` out of arguments, for commands that read the others differently. */
export function takeGpus(args: readonly string[]): { args: string[]; gpus: string | undefined } {
  const { args: rest, value: gpus } = takeArgument(args, GPUS);
  return { args: rest, gpus };
}

async function startRanks(gpus: string | undefined): Promise<Communicator> {
  const count = await ranksFor(gpus);
  if (count === 1) return aloneOn(Deno.hostname());
  const { launchRanks, MPI_PACKAGE, NoMpirun } = await import("../../kernels/ranks/launch.ts");
  // The ranks tell themselves what they do when they are to stop.
  using stop = new StopSignals(() => {}, () => {});
  stop.listen();
  try {
    Deno.exit(await launchRanks(count, stop.signal));
  } catch (error) {
    if (!(error instanceof NoMpirun) || !await mayInstall()) throw error;
  }
  await installMissing({
    name: "MPI, which starts a process for each GPU,",
    missing: "No mpirun was found",
    packages: [MPI_PACKAGE],
  });
  Deno.exit(await launchRanks(count, stop.signal));
}

/** How many ranks `--gpus` asks for. */
async function ranksFor(gpus: string | undefined): Promise<number> {
  const asked = askedFor(gpus);
  if (asked === 1) return 1;
  const { gpusToShareOut } = await import("../../kernels/ranks/enter.ts");
  const there = gpusToShareOut().length;
  if (asked === "all") return Math.max(1, there);
  // Without any, the ranks compute on the CPU.
  if (there === 0 || asked <= there) return asked;
  throw new UserError(
    `${GPUS}=${asked}: this machine has ${there} GPU${
      there > 1 ? "s" : ""
    } that this process may ` +
      `use, and each rank needs one of its own`,
  );
}

function askedFor(gpus: string | undefined): number | "all" {
  if (gpus === "all") return gpus;
  const isNumber = gpus === undefined || /^\d+$/.test(gpus);
  if (!isNumber) throw new UserError(`${GPUS}=${gpus}: expected a number of GPUs, or all`);
  return numberFlag(GPUS.slice(2), gpus, atLeastOne) ?? 1;
}

async function runAsRank(
  started: StartedRank,
  command: (ranks: CommandRanks) => Promise<void>,
): Promise<void> {
  const { enterRank, requireOwnGpu } = await import("../../kernels/ranks/enter.ts");
  const ranks = await told(started, () => {
    enterRank(started);
    return connectRanks({ handlesTermination: () => StopSignals.isListening });
  });
  try {
    await requireOwnGpu(started, ranks);
    await command({
      start(gpus) {
        const asked = askedFor(gpus);
        if (gpus === undefined || asked === "all" || asked === ranks.size) {
          return Promise.resolve(ranks);
        }
        throw new UserError(
          `${GPUS}=${asked}, but ${ranks.size} ranks were started: leave ${GPUS} out`,
        );
      },
      async once(work) {
        if (ranks.rank === 0) await work();
        await ranks.barrier();
      },
      async onceOnEachHost(work) {
        if (ranks.rank === ranks.hostRanks[0]) await work();
        await ranks.barrier();
      },
    });
    Deno.exitCode = Math.max(...(await ranks.allGather([Deno.exitCode])).flat());
    await ranks.close();
  } catch (error) {
    Deno.exit(await endWith(error, ranks));
  }
}

/**
 * Before ranks are connected they may all meet the same error, and cannot agree on who tells it: each
 * leaves time for those before it, with whose end mpirun ends all.
 */
async function told(
  { rank }: StartedRank,
  connect: () => Promise<Communicator>,
): Promise<Communicator> {
  try {
    return await connect();
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(rank, LATEST_TURN) * TURN));
    throw error;
  }
}

/** Tells the others why this rank ends. Returns the exit status. */
async function endWith(error: unknown, ranks: Communicator): Promise<number> {
  if (error instanceof Stopped) { // as are all others
    if (ranks.rank === 0) console.error(error.message);
    await ranks.close();
    return error.status;
  }
  if (error instanceof RanksFailed) return 1;
  if (!(error instanceof UserError)) console.error(error);
  await ranks.fail(error instanceof Error ? error.message : String(error));
  return 1;
}
