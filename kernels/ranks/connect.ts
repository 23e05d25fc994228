import { aloneOn, type Communicator } from "./communicator.ts";
import { startedRank } from "./environment.ts";

/** How ranks are connected; all ranks must give the same. */
export interface ConnectOptions {
  /**
   * Seconds without a sign of life after which a rank counts as hung; 30 if not given. All other
   * ranks then end within 15 seconds more.
   */
  patience?: number;
  /** Bytes of a piece of the large exchange; 4 MiB if not given. */
  pieceBytes?: number;
  /**
   * Pieces that a rank can have under way within its host; 16 if not given. With the piece's size
   * this is how much of /dev/shm a rank takes.
   */
  pieces?: number;
  /** Tells the person at the terminal why the ranks failed; called on one rank; else stderr. */
  onFailure?: (message: string) => void;
  /**
   * Whether the program listens to SIGTERM itself, to stop in order; if not given, the signal ends it
   * as ever, unless mpirun sent it because a rank failed.
   */
  handlesTermination?: boolean;
  /** For tests: the ranks of this machine act as hosts of so many ranks, and use MPI between them. */
  ranksPerHost?: number;
}

/**
 * Connects this process with the other ranks, if `mpirun`, `mpiexec` or `srun` started it as one of
 * several; otherwise it is alone, and neither MPI nor FFI is loaded.
 *
 * Needs `--allow-env` as `startedRank` says, `--allow-sys=hostname`, and `--allow-ffi` with several
 * ranks.
 *
 * @throws UserError on every rank, if MPI is missing or there is too little shared memory, or if
 *   not all ranks have come within 90 seconds
 */
export async function connectRanks(options: ConnectOptions = {}): Promise<Communicator> {
  const started = startedRank();
  if (started === undefined) return aloneOn(Deno.hostname());
  // Imported here, as a process alone has no use for it.
  const { joinRanks } = await import("./join.ts");
  return await joinRanks(started, options);
}
