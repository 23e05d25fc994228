import { concatenate } from "./bytes.ts";
import { RanksFailed } from "./communicator.ts";
import { PART_BYTES, PART_HEADER, REASON_BYTES } from "./host-memory.ts";
import type { Mpi, PendingMessage } from "./mpi.ts";
import type { Topology } from "./topology.ts";
import type { Waits } from "./waits.ts";
import { describe, type Failure, type OtherHosts, type Watch } from "./watch.ts";

/** What messages are about: MPI keeps those of one tag between two ranks in order. */
export const TAG = { life: 1, parts: 2, bytes: 3 } as const;

/** Milliseconds that a rank goes on asking MPI after it has told a failure, so that it gets out. */
const SPREADING = 500;
const PAUSE = 10;
/** Ticks by which a host counts as lost later than a rank as hung: its other ranks know better. */
const LOCAL_NEWS = 8;
/** A sign of life is its sender's rank and, if something failed, that as JSON. */
const RANK_BYTES = 4;
const NO_FAILURE = "";

/**
 * What hosts tell each other, by MPI. Rank 0 is the hub: the first rank of every other host sends it
 * a sign of life at every tick and gets one back; all-gathers go through it. A failure goes to the
 * hub from whoever sees it, and from there to every host; if it is the hub that failed, straight to
 * every host.
 */
export class HostLinks implements OtherHosts {
  /** Leaders that this rank hears from: the hub from all others, these from the hub. */
  readonly #peers: readonly number[];
  readonly #silentTicks = new Map<number, number>();
  #inbox: PendingMessage | undefined;
  #outbox: { request: PendingMessage; to: number }[] = [];

  /** Begins to listen; `watch` is told of what comes. */
  constructor(
    private readonly mpi: Mpi,
    private readonly topology: Topology,
    private readonly waits: Waits,
    private readonly watch: Watch,
  ) {
    const { rank, leaders } = topology;
    if (rank === 0) this.#peers = leaders.slice(1);
    else this.#peers = leaders.includes(rank) ? [0] : [];
    if (this.#peers.length > 0) this.#listen();
  }

  /** Signs of life out and in. */
  tick(): void {
    try {
      this.#clearOutbox();
      this.#hear();
      for (const peer of this.#peers) {
        const silent = (this.#silentTicks.get(peer) ?? 0) + 1;
        this.#silentTicks.set(peer, silent);
        if (silent === this.watch.patientTicks + LOCAL_NEWS) this.#lose(peer);
        // Whoever does not take messages is not sent more of them.
        if (!this.#outbox.some(({ to }) => to === peer)) this.#tell(peer, NO_FAILURE);
      }
    } catch (error) {
      this.#report(error as Error);
    }
  }

  /** Tells other hosts of a failure that this rank was the first of its host to see. */
  async spread(failure: Failure): Promise<void> {
    const { rank, leaders } = this.topology;
    const straight = rank === 0 || failure.rank === 0;
    const to = (straight ? leaders : [0]).filter((to) => to !== rank && to !== failure.rank);
    // A message that MPI has taken over may not have left yet.
    const end = performance.now() + SPREADING;
    try {
      for (const leader of to) this.#tell(leader, JSON.stringify(failure));
      while (performance.now() < end) {
        this.#clearOutbox();
        await new Promise((turn) => setTimeout(turn, PAUSE));
      }
    } catch {
      // The connection went with the rank that failed. Hosts that do not hear of it miss signs of life.
    }
  }

  /**
   * Of the parts of an all-gather that the ranks of each host have put together, all; for leaders.
   */
  async collect(parts: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { rank, size, leaders } = this.topology;
    const room = () => new Uint8Array(size * (PART_HEADER + PART_BYTES));
    if (rank !== 0) {
      await this.through(this.mpi.send(parts, 0, TAG.parts));
      return await this.#received(room(), 0);
    }
    const others = leaders.slice(1);
    const received = await Promise.all(others.map((leader) => this.#received(room(), leader)));
    const all = concatenate([parts, ...received]);
    await Promise.all(others.map((to) => this.through(this.mpi.send(all, to, TAG.parts))));
    return all;
  }

  /**
   * Bytes of a message, once it is through.
   *
   * @throws RanksFailed if it does not come through
   */
  async through(request: PendingMessage): Promise<number> {
    let count: number | undefined;
    try {
      await this.waits.until(() => (count = this.mpi.arrived(request)) !== undefined);
      return count!;
    } catch (error) {
      if (!(error instanceof RanksFailed)) await this.#report(error as Error);
      throw this.watch.failure() ?? error;
    }
  }

  async #received(room: Uint8Array<ArrayBuffer>, from: number): Promise<Uint8Array<ArrayBuffer>> {
    return room.subarray(0, await this.through(this.mpi.receive(room, from, TAG.parts)));
  }

  /** Nothing more is to be heard. */
  close(): void {
    if (this.#inbox) this.mpi.cancel(this.#inbox);
  }

  #tell(to: number, failure: string): void {
    const from = new Uint8Array(Int32Array.of(this.topology.rank).buffer);
    const message = concatenate([from, new TextEncoder().encode(failure)]);
    this.#outbox.push({ request: this.mpi.send(message, to, TAG.life), to });
  }

  #listen(): void {
    this.#inbox = this.mpi.receive(new Uint8Array(RANK_BYTES + REASON_BYTES), "any", TAG.life);
  }

  #hear(): void {
    while (this.#inbox) {
      const count = this.mpi.arrived(this.#inbox);
      if (count === undefined) return;
      const { bytes } = this.#inbox;
      const [from] = new Int32Array(bytes.slice(0, RANK_BYTES).buffer);
      const failure = new TextDecoder().decode(bytes.subarray(RANK_BYTES, count));
      this.#silentTicks.set(from, 0);
      this.#listen();
      // The hub hands it on to all other hosts.
      if (failure !== NO_FAILURE) this.watch.record(JSON.parse(failure), this.topology.rank === 0);
    }
  }

  #clearOutbox(): void {
    this.#outbox = this.#outbox.filter(({ request }) => this.mpi.arrived(request) === undefined);
  }

  /** An error of MPI is this rank's. */
  #report(error: Error): Promise<void> {
    const { rank, host } = this.topology;
    const message = `${describe(rank, host)}: ${error.message}`;
    return this.watch.record({ rank, message, told: false });
  }

  #lose(leader: number): void {
    const host = this.topology.hostOf[leader];
    const message = `${describe(leader, host)} does not answer: its process hangs, or the host ` +
      `or the network is lost.`;
    this.watch.record({ rank: leader, message, told: false });
  }
}
