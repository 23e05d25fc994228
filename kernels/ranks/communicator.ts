import { UserError } from "../runtime/user-error.ts";

/**
 * The processes ("ranks", one a GPU) that train one model together, as one of them sees them. All
 * ranks make the same calls of {@linkcode allGather}, {@linkcode allGatherText},
 * {@linkcode barrier} and {@linkcode close} in the same order, like the collectives of MPI.
 *
 * No call waits for ever: if a rank fails, dies, hangs or its host is lost, every call that waits
 * on any rank, and every later one, throws the same {@linkcode RanksFailed}; the process should then
 * end, and is ended after ten seconds. A rank whose JavaScript stands still for longer than the
 * others are patient hangs, for all they can see, unless a driver's threads compute meanwhile; one
 * that is alive or computes may let them wait for half an hour.
 */
export interface Communicator {
  /** Which of the ranks this process is, from 0. */
  readonly rank: number;
  /** How many ranks there are. */
  readonly size: number;
  /** Name of the machine that this rank runs on. */
  readonly host: string;
  /** The ranks of this machine, this one among them, ascending. */
  readonly hostRanks: readonly number[];
  /**
   * Gives every rank's numbers to all, in the order of ranks. For agreement and small sums, not for
   * tensors. The counts may differ from rank to rank; values are float64.
   */
  allGather(numbers: readonly number[]): Promise<number[][]>;
  /** Gives every rank's text to all, in the order of ranks: a broadcast reads only one of them. */
  allGatherText(text: string): Promise<string[]>;
  /** Waits until every rank has come here. */
  barrier(): Promise<void>;
  /**
   * Gives bytes to other ranks, each of which takes them by one {@linkcode take} of as many bytes:
   * what a rank gives another arrives in the order of calls. Many calls may be under way at once,
   * and those to different ranks do not wait for each other. Several receivers on one host share
   * one copy.
   *
   * @param bytes stays unchanged until the promise settles; mapped GPU memory is read in place
   * @param to ranks, none of them this one
   */
  give(bytes: Uint8Array, to: readonly number[]): Promise<void>;
  /**
   * Takes what another rank gives.
   *
   * @param bytes filled when the promise resolves, and left alone by everyone else until then;
   *   mapped GPU memory is written in place
   * @throws RanksFailed also if the other rank gave another number of bytes
   */
  take(bytes: Uint8Array, from: number): Promise<void>;
  /**
   * Stops all ranks for a reason that is this rank's: all others throw it, with this rank and its
   * host named, where they wait.
   *
   * @returns the error to throw here
   */
  fail(reason: string): Promise<UserError>;
  /**
   * Parts from the other ranks when all have come here. The process should end soon after: with a
   * status other than 0, mpirun ends the ranks that have not ended yet.
   */
  close(): Promise<void>;
}

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
   * Whether the program listens to SIGTERM itself at that moment, to stop in order; if not given or
   * if it does not, the signal ends it as ever, unless mpirun sent it because a rank failed.
   */
  handlesTermination?: () => boolean;
  /** For tests: the ranks of this machine act as hosts of so many ranks, and use MPI between them. */
  ranksPerHost?: number;
}

/**
 * Why the ranks stopped: which rank, on which host, what happened; the same on every rank. One of
 * them has told it already (see `onFailure` of `connectRanks`), so a command ends with status 1 and
 * prints nothing.
 */
export class RanksFailed extends UserError {
  /** What the error is called. */
  override name = "RanksFailed";
}

/** A process that trains alone: nothing is loaded, nothing waits. */
export function aloneOn(host: string): Communicator {
  const nobody = (rank: number) => new RangeError(`rank ${rank}: there is only rank 0 here`);
  return {
    rank: 0,
    size: 1,
    host,
    hostRanks: [0],
    allGather: (numbers) => Promise.resolve([[...numbers]]),
    allGatherText: (text) => Promise.resolve([text]),
    barrier: () => Promise.resolve(),
    give: (_, to) => to.length === 0 ? Promise.resolve() : Promise.reject(nobody(to[0])),
    take: (_, from) => Promise.reject(nobody(from)),
    fail: (reason) => Promise.resolve(new UserError(reason)),
    close: () => Promise.resolve(),
  };
}
