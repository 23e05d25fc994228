import { UserError } from "../runtime/user-error.ts";
import { readSizedText, writeSizedText } from "./bytes.ts";
import type { Communicator, ConnectOptions } from "./communicator.ts";
import { ConnectedRanks } from "./connected-ranks.ts";
import type { StartedRank } from "./environment.ts";
import { HostMemory } from "./host-memory.ts";
import { processExists, readSystemFile } from "./linux/libc.ts";
import { Mpi } from "./mpi.ts";
import { createSharedMemory, forgetSharedMemory, openSharedMemory } from "./linux/shared-memory.ts";
import { groupByMachine, type Topology } from "./topology.ts";

/** Seconds in which all ranks must have started. */
const START = 90;
/** Bytes of what ranks tell each other at the start. */
const CARD_BYTES = 2048;

/** What a rank tells the others of itself. */
interface Card {
  /** The same on all ranks that run under one kernel. */
  readonly machine: string;
  readonly host: string;
  readonly pid: number;
  /** Name of its host's memory if this is the host's first rank. */
  readonly memory: string;
}

/** Connects a process that was started as a rank: see `connectRanks`. */
export async function joinRanks(
  started: StartedRank,
  options: ConnectOptions,
): Promise<Communicator> {
  const { patience = 30, pieceBytes = 4 * 2 ** 20, pieces = 16, ranksPerHost } = options;
  const mpi = await inTime(started, Mpi.start(started.openMpi));
  if (mpi.size !== started.size) throw otherMpi(started, mpi.size);
  const tell = (text: string) => inTime(started, allGatherText(mpi, text));

  const cards: Card[] = (await tell(JSON.stringify(
    {
      machine: bootId(),
      host: mpi.host,
      pid: Deno.pid,
      memory: `steel-${Deno.pid}-${crypto.randomUUID()}`,
    } satisfies Card,
  ))).map((card) => JSON.parse(card));
  const machines = cards.map(({ machine }, rank) =>
    ranksPerHost ? `${machine} ${Math.floor(rank / ranksPerHost)}` : machine
  );
  const topology = groupByMachine(mpi.rank, machines, cards.map(({ host }) => host));
  const pids = topology.hostRanks.map((rank) => cards[rank].pid);

  const { hostRanks, size } = topology;
  const shape = {
    ranks: hostRanks.length,
    allRanks: size,
    pieceBytes,
    pieces: Math.max(pieces, hostRanks.length - 1),
  };
  /** What each rank does of it, or on all ranks the error of the first that could not. */
  const together = async <T>(part: () => Promise<T>): Promise<T> => {
    const result = await part().catch((error: Error) => error);
    const errors = await tell(result instanceof Error ? result.message : "");
    const failed = errors.findIndex((message) => message !== "");
    if (failed >= 0) throw new UserError(`Host ${cards[failed].host}: ${errors[failed]}`);
    return result as T;
  };
  const { memory: name } = cards[hostRanks[0]];
  const bytes = HostMemory.size(shape);
  try {
    const created = await together(async () =>
      topology.place === 0 ? await createSharedMemory(name, bytes) : undefined
    );
    const memory = await together(async () => {
      checkProcesses(topology, pids);
      return new HostMemory(created ?? await openSharedMemory(name, bytes), shape);
    });
    return new ConnectedRanks(mpi, memory, topology, {
      pids,
      patience,
      onFailure: options.onFailure ?? ((message) => console.error(`error: ${message}`)),
      launcher: started.launcher,
      handlesTermination: options.handlesTermination ?? (() => false),
    });
  } finally {
    // All have mapped it, or something went wrong: from here on nothing can be left behind.
    forgetSharedMemory(name);
  }
}

/** Every rank's short text. */
async function allGatherText(mpi: Mpi, text: string): Promise<string[]> {
  const card = new Uint8Array(CARD_BYTES);
  writeSizedText(card, text);
  return (await mpi.allGather(card)).map(readSizedText);
}

async function inTime<T>({ rank, size }: StartedRank, step: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new UserError(
          `Rank ${rank} has waited ${START} s for the others to start: not all of ${size} have.`,
        ),
      );
    }, START * 1000);
  });
  try {
    return await Promise.race([step, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What tells this machine, or rather its running kernel, from all others. */
function bootId(): string {
  const id = readSystemFile("/proc/sys/kernel/random/boot_id");
  return new TextDecoder().decode(id).trim();
}

function checkProcesses({ hostRanks, host }: Topology, pids: readonly number[]): void {
  const unseen = hostRanks.filter((_, place) => !processExists(pids[place]));
  if (unseen.length === 0) return;
  throw new UserError(
    `ranks ${unseen.join(", ")} run on ${host} too, but their processes cannot be seen: do the ` +
      `ranks run in containers of their own? Start all of them in one container.`,
  );
}

function otherMpi({ rank, size }: StartedRank, seen: number): UserError {
  return new UserError(
    `This process was started as rank ${rank} of ${size}, but its MPI library sees ${seen}: mpirun ` +
      `and the library are of different MPIs. Install only one of Open MPI and MPICH, or start the ` +
      `ranks with the other's mpirun.`,
  );
}
