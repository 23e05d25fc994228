import { readSizedText, writeSizedText } from "./bytes.ts";
import { RanksFailed } from "./communicator.ts";
import type { HostMemory } from "./host-memory.ts";
import type { Doorbell } from "./linux/doorbell.ts";
import { libc, processExists, SIGKILL, SIGTERM } from "./linux/libc.ts";
import { type ProcessorTime, processorTime } from "./linux/processes.ts";
import type { Mpi } from "./mpi.ts";
import type { Topology } from "./topology.ts";

/** Milliseconds between two looks at the others. */
const TICK = 250;
/** Seconds that a rank has to end by itself after a failure; not more than the others' patience. */
const GRACE = 10;
/** Characters of a message: escaped as JSON they fit into its room. */
const MESSAGE_LENGTH = 2000;
/** The least share of a processor that a driver uses while it computes, however many share it. */
const COMPUTING = 0.05;
/** Seconds after which even a wait on ranks that are all alive is given up. */
const LONGEST_WAIT = 1800;
/** Milliseconds in which a failure that made mpirun end all ranks is known everywhere. */
const NEWS = 1000;

/** A failure as ranks tell it each other. */
export interface Failure {
  /** The rank that failed, which is not always the one that tells. */
  readonly rank: number;
  /** All that is known of it, rank and host included. */
  readonly message: string;
  /** Whether the person at the terminal has been told. */
  readonly told: boolean;
}

/** How a failure gets to other hosts. */
export interface OtherHosts {
  /** Signs of life out and in. */
  tick(): void;
  /** Tells them of a failure. */
  spread(failure: Failure): Promise<void>;
}

/** What {@linkcode Watch} is told. */
export interface WatchOptions {
  /** Processes of the host's ranks. */
  readonly pids: readonly number[];
  /** Seconds without a sign of life after which a rank counts as hung. */
  readonly patience: number;
  /** Tells the person at the terminal; called on one rank, once. */
  readonly onFailure: (message: string) => void;
  /** The process whose end ends all ranks, if there is one besides the parent. */
  readonly launcher: number | undefined;
  /** Whether the program itself does what SIGTERM asks for. */
  readonly handlesTermination: () => boolean;
}

/**
 * Sees to it that a failure of one rank ends all. Every rank moves a counter in the host's memory
 * and looks at those of the others: one whose process is gone has died, one whose counter stands
 * still hangs. A driver that computes on the CPU may keep JavaScript waiting for long: the system
 * tells whether threads beside JavaScript's work. (One in which JavaScript itself is busy counts as
 * hung, for nobody can tell it anything.) Missed ticks are counted, not seconds: a machine that was
 * suspended wakes with all ranks.
 */
export class Watch {
  #failure: RanksFailed | undefined;
  #spreading = false;
  #ticksFailed = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #seen: { beat: number; missed: number; before?: ProcessorTime }[];
  readonly #parent = libc().getppid();
  /** Ticks without a sign of life after which a rank, or a host, counts as hung or lost. */
  readonly patientTicks: number;
  readonly #graceTicks: number;
  /** If there are other hosts. */
  otherHosts: OtherHosts | undefined;

  /**
   * Nothing is watched before {@linkcode start}.
   *
   * @param longestWait seconds that this rank's oldest wait has lasted
   */
  constructor(
    private readonly memory: HostMemory,
    private readonly topology: Topology,
    private readonly mpi: Mpi,
    private readonly options: WatchOptions,
    private readonly bell: Doorbell,
    private readonly longestWait: () => number,
  ) {
    this.#seen = topology.hostRanks.map(() => ({ beat: 0, missed: 0 }));
    this.patientTicks = Math.ceil(options.patience * 1000 / TICK);
    this.#graceTicks = Math.min(this.patientTicks, GRACE * 1000 / TICK);
  }

  /** Begins to watch. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK);
    Deno.unrefTimer(this.#timer);
    Deno.addSignalListener("SIGTERM", this.#terminate);
  }

  /** Why no rank has anything to wait for any more; cheap, for every turn of a wait. */
  failure(): RanksFailed | undefined {
    if (this.#failure === undefined) this.#look();
    // When the first rank has ended, mpirun soon ends all: before that, other hosts must have heard
    // of it, and the person at the terminal.
    return this.#spreading || !this.#isTold() ? undefined : this.#failure;
  }

  #isTold(): boolean {
    const { words, told } = this.memory;
    return Atomics.load(words, told) === 1;
  }

  /** Tells the person at the terminal, unless another rank of this host has. */
  #tell(message: string): void {
    const { words, told } = this.memory;
    if (Atomics.compareExchange(words, told, 0, 1) === 0) this.options.onFailure(message);
  }

  /** From now on the end of this rank is no failure. */
  part(): void {
    Atomics.store(this.memory.words, this.memory.parting(this.topology.place), 1);
  }

  /** Ends watching, and being watched. */
  stop(): void {
    clearInterval(this.#timer);
    Deno.removeSignalListener("SIGTERM", this.#terminate);
    libc().alarm(0);
  }

  /** Tells a failure to all ranks; only the first on a host counts. */
  async record(failure: Failure, spread = true): Promise<void> {
    const { memory, topology } = this;
    const { words, failed } = memory;
    if (Atomics.load(words, failed) !== 0) return;
    const tells = this.#tells(failure);
    const message = failure.message.slice(0, MESSAGE_LENGTH);
    const record = { ...failure, message, told: failure.told || tells };
    writeSizedText(memory.reason(topology.place), JSON.stringify(record));
    if (Atomics.compareExchange(words, failed, 0, topology.place + 1) !== 0) return;
    this.#failure = new RanksFailed(message);
    this.bell.ring(topology.hostRanks.keys().filter((place) => place !== topology.place).toArray());
    if (failure.told || !tells && !this.#isTellerHere(failure)) {
      Atomics.store(words, memory.told, 1);
    } else if (tells) this.#tell(message);
    if (!spread) return;
    this.#spreading = true;
    await this.otherHosts?.spread(record);
    this.#spreading = false;
  }

  /** Whether another rank of this host has told a failure. */
  #look(): void {
    const { memory, topology } = this;
    const teller = Atomics.load(memory.words, memory.failed) - 1;
    if (teller < 0 || teller === topology.place) return;
    const failure: Failure = JSON.parse(readSizedText(memory.reason(teller)));
    this.#failure = new RanksFailed(failure.message);
    if (!failure.told && this.#tells(failure)) this.#tell(failure.message);
  }

  /**
   * Whether this rank tells the person at the terminal. Rank 0 does. If rank 0 is gone, every host
   * may see it by itself, so the first rank of the second host tells, or on a single host whoever
   * sees it first.
   */
  #tells({ rank: failed }: Failure): boolean {
    const { rank, leaders } = this.topology;
    return rank === 0 || failed === 0 && (leaders.length === 1 || rank === leaders[1]);
  }

  /** Whether it is a rank of this host that tells. */
  #isTellerHere({ rank: failed }: Failure): boolean {
    const { hostRanks, leaders } = this.topology;
    return hostRanks.includes(failed === 0 && leaders.length > 1 ? leaders[1] : 0);
  }

  /**
   * When a rank has failed, mpirun sends SIGTERM to the others, which then still have to tell why.
   * Without a failure the signal does what it does to other programs.
   */
  readonly #terminate = () => {
    this.#tick();
    if (this.options.handlesTermination()) return;
    setTimeout(() => {
      if (this.#failure) return;
      // A program that listens by now gets it again.
      if (!this.options.handlesTermination()) this.stop();
      libc().kill(Deno.pid, SIGTERM);
    }, NEWS);
  };

  #tick(): void {
    const { memory, topology, options } = this;
    Atomics.add(memory.words, memory.beat(topology.place), 1);
    // A rank whose event loop stands still ends by the kernel's hand, if nobody is left to notice it.
    libc().alarm(LONGEST_WAIT);
    if (this.#failure ?? this.failure()) {
      this.#ticksFailed++;
      // Whoever is to tell stands still.
      if (2 * this.#ticksFailed >= this.#graceTicks) this.#tell(this.#failure!.message);
      if (this.#ticksFailed === this.#graceTicks) this.#endHard();
      return;
    }
    if (libc().getppid() !== this.#parent) this.#recordOwn("the program that started it is gone");
    if (options.launcher !== undefined && !processExists(options.launcher)) {
      this.#recordOwn("the command that started the ranks is gone");
    }
    if (this.longestWait() > LONGEST_WAIT) {
      this.#recordOwn(`it has waited for other ranks for ${LONGEST_WAIT / 60} minutes`);
    }
    for (let place = 0; place < topology.hostRanks.length; place++) {
      if (place !== topology.place) this.#lookAt(place);
    }
    this.otherHosts?.tick();
  }

  #lookAt(place: number): void {
    const { memory, topology, options } = this;
    const { words } = memory;
    const pid = options.pids[place];
    const beat = Atomics.load(words, memory.beat(place));
    const alive = processExists(pid);
    // Read after the process was looked for: a rank that ended in order had said so before.
    if (Atomics.load(words, memory.parting(place)) === 1) return;
    const rank = topology.hostRanks[place];
    const name = describe(rank, topology.host);
    if (!alive) {
      this.record({ rank, message: `${name} has died: its process ${pid} is gone.`, told: false });
    }
    const seen = this.#seen[place];
    seen.missed = beat === seen.beat ? seen.missed + 1 : 0;
    seen.beat = beat;
    if (seen.missed === 1) seen.before = processorTime(pid);
    if (seen.missed < this.patientTicks) return;
    if (hasComputed(seen.before, processorTime(pid), COMPUTING * options.patience)) {
      seen.missed = 0;
      return;
    }
    const message = `${name} hangs: its process ${pid} has not answered for ${options.patience} s.`;
    this.record({ rank, message, told: false });
    // Stopped or stuck, it would never end by itself.
    libc().kill(pid, SIGKILL);
  }

  #recordOwn(reason: string): void {
    const { rank, host } = this.topology;
    this.record({ rank, message: `${describe(rank, host)}: ${reason}.`, told: false });
  }

  /** This rank knows of the failure but waits for something else: a GPU, a file. */
  #endHard(): void {
    // What started the ranks can reach those of other hosts, and those that are stuck.
    this.mpi.abort();
    setTimeout(() => libc()._exit(1), 4 * TICK);
  }
}

/** Whether threads beside JavaScript's have worked for so many seconds, and that one has waited. */
function hasComputed(
  before: ProcessorTime | undefined,
  now: ProcessorTime,
  seconds: number,
): boolean {
  if (!before) return false;
  const worked = now.others - before.others;
  return worked >= seconds && now.main - before.main < worked;
}

/** Names a rank in messages. */
export function describe(rank: number, host: string): string {
  return `Rank ${rank} on host ${host}`;
}
