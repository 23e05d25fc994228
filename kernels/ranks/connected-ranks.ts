import type { UserError } from "../runtime/user-error.ts";
import type { Communicator } from "./communicator.ts";
import { Exchange } from "./exchange.ts";
import { Gatherer } from "./gatherer.ts";
import type { HostMemory } from "./host-memory.ts";
import { HostLinks } from "./hosts.ts";
import { Doorbell } from "./linux/doorbell.ts";
import type { Mpi } from "./mpi.ts";
import type { Topology } from "./topology.ts";
import { Waits } from "./waits.ts";
import { describe, Watch, type WatchOptions } from "./watch.ts";

/** Milliseconds that MPI has to end in when all ranks are done. */
const FINALIZE = 10_000;

/** Milliseconds that waits sleep at most: MPI does not ring, and must be asked to move on. */
const SLEEP = { shared: 50, mpi: 1 };

/** A rank among several: shared memory within a host, MPI between hosts. */
export class ConnectedRanks implements Communicator {
  /** See {@linkcode Communicator}, as for all else that is public here. */
  readonly rank: number;
  /** How many ranks there are. */
  readonly size: number;
  /** Name of this machine. */
  readonly host: string;
  /** Ranks of this machine. */
  readonly hostRanks: readonly number[];
  readonly #watch: Watch;
  readonly #waits: Waits;
  readonly #links: HostLinks | undefined;
  readonly #gatherer: Gatherer;
  readonly #exchange: Exchange;

  /**
   * Begins to watch the others.
   *
   * @param memory that all ranks of this host have mapped
   */
  constructor(
    private readonly mpi: Mpi,
    memory: HostMemory,
    topology: Topology,
    watched: WatchOptions,
  ) {
    this.rank = topology.rank;
    this.size = topology.size;
    this.host = topology.host;
    this.hostRanks = topology.hostRanks;
    const bell = new Doorbell(memory, topology.place);
    const usesMpi = topology.leaders.length > 1;
    const waits: Waits = this.#waits = new Waits(
      () => watch.failure(),
      bell,
      usesMpi ? SLEEP.mpi : SLEEP.shared,
    );
    const watch = new Watch(memory, topology, mpi, watched, bell, () => waits.longest());
    this.#watch = watch;
    if (usesMpi) {
      this.#links = watch.otherHosts = new HostLinks(mpi, topology, waits, watch);
    }
    this.#gatherer = new Gatherer(memory, topology, waits, watch, bell, this.#links);
    this.#exchange = new Exchange(memory, topology, waits, watch, bell, mpi, this.#links);
    watch.start();
  }

  async allGather(numbers: readonly number[]): Promise<number[][]> {
    const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
    const gathered = await this.#gatherer.gather("numbers", bytes);
    return gathered.map(({ buffer }) => [...new Float64Array(buffer)]);
  }

  async allGatherText(text: string): Promise<string[]> {
    const gathered = await this.#gatherer.gather("text", new TextEncoder().encode(text));
    return gathered.map((bytes) => new TextDecoder().decode(bytes));
  }

  async barrier(): Promise<void> {
    await this.#gatherer.gather("barrier", new Uint8Array());
  }

  give(bytes: Uint8Array, to: readonly number[]): Promise<void> {
    return this.#exchange.give(bytes, to);
  }

  take(bytes: Uint8Array, from: number): Promise<void> {
    return this.#exchange.take(bytes, from);
  }

  async fail(reason: string): Promise<UserError> {
    const { rank, host } = this;
    const message = `${describe(rank, host)}: ${reason}`;
    await this.#watch.record({ rank, message, told: false });
    return await this.#waits.failed().catch((error: UserError) => error);
  }

  async close(): Promise<void> {
    this.#watch.part();
    await this.#gatherer.gather("close", new Uint8Array());
    this.#watch.stop();
    this.#links?.close();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, FINALIZE));
    await Promise.race([this.mpi.finalize(), late]);
    clearTimeout(timer);
  }
}
