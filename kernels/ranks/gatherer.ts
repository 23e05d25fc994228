import { concatenate } from "./bytes.ts";
import { type HostMemory, PART_BYTES, PART_HEADER } from "./host-memory.ts";
import type { HostLinks } from "./hosts.ts";
import type { Doorbell } from "./linux/doorbell.ts";
import type { Topology } from "./topology.ts";
import type { Waits } from "./waits.ts";
import { describe, type Watch } from "./watch.ts";

/** What ranks gather; all must gather the same. */
export type Kind = "numbers" | "text" | "barrier" | "close";
const KINDS: readonly Kind[] = ["numbers", "text", "barrier", "close"];

interface Part {
  readonly kind: Kind;
  /** Bytes that the rank gives in all rounds together. */
  readonly total: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Gathers every rank's bytes in rounds of small parts. A rank puts its part into the host's memory
 * and then the round's number beside it, and reads the others' parts when their numbers have come
 * as far. With several hosts, the first rank of each sends its host's parts to the hub and puts
 * down what comes back.
 */
export class Gatherer {
  #round = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * One for all gathers of a rank.
   *
   * @param links to other hosts, if there are any
   */
  constructor(
    private readonly memory: HostMemory,
    private readonly topology: Topology,
    private readonly waits: Waits,
    private readonly watch: Watch,
    private readonly bell: Doorbell,
    private readonly links: HostLinks | undefined,
  ) {}

  /** Every rank's bytes, in the order of ranks. Calls that overlap take turns. */
  gather(kind: Kind, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]> {
    const gathered = this.#turn.then(() => this.#rounds(kind, bytes));
    this.#turn = gathered.catch(() => {});
    return gathered;
  }

  async #rounds(
    kind: Kind,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>[]> {
    const gathered: Uint8Array<ArrayBuffer>[][] = Array.from(this.topology.hostOf, () => []);
    let start = 0;
    let longest: number;
    do {
      const piece = bytes.subarray(start, start + PART_BYTES);
      const parts = await this.#oneRound({ kind, total: bytes.length, bytes: piece });
      for (const [rank, part] of parts) {
        if (part.kind !== kind) await this.#disagree(kind, rank, part.kind);
        gathered[rank].push(part.bytes);
      }
      longest = Math.max(...[...parts.values()].map(({ total }) => total));
      start += PART_BYTES;
    } while (start < longest);
    return gathered.map(concatenate);
  }

  async #oneRound(part: Part): Promise<Map<number, Part>> {
    const { memory, topology, waits, links } = this;
    const { words } = memory;
    const round = this.#round = (this.#round + 1) | 0;
    const has = (word: number) => ((Atomics.load(words, word) - round) | 0) >= 0;
    encode(memory.part(topology.place, round), topology.rank, part);
    Atomics.store(words, memory.round(topology.place), round);
    const places = topology.hostRanks.keys().toArray();
    const others = places.filter((place) => place !== topology.place);
    this.bell.ring(others);
    const here = () => places.every((place) => has(memory.round(place)));
    if (links === undefined) {
      await waits.until(here);
      return decode(places.map((place) => memory.part(place, round)));
    }
    if (topology.place === 0) {
      await waits.until(here);
      const parts = places.map((place) => memory.part(place, round).slice());
      memory.allParts.set(await links.collect(concatenate(parts)));
      Atomics.store(words, memory.collected, round);
      this.bell.ring(others);
    } else await waits.until(() => has(memory.collected));
    const stride = PART_HEADER + PART_BYTES;
    return decode(
      topology.hostOf.map((_, i) => memory.allParts.subarray(i * stride, (i + 1) * stride)),
    );
  }

  /** A fault of the program; without this, ranks would wait for each other. */
  async #disagree(here: Kind, rank: number, there: Kind): Promise<never> {
    const { topology } = this;
    const message = `${describe(rank, topology.hostOf[rank])} gathers ${there} while ` +
      `rank ${topology.rank} gathers ${here}: the ranks do not run the same steps.`;
    await this.watch.record({ rank, message, told: false });
    return await this.waits.failed();
  }
}

function encode(room: Uint8Array<ArrayBuffer>, rank: number, part: Part): void {
  const header = new Int32Array(room.buffer, room.byteOffset, PART_HEADER / 4);
  header.set([rank, KINDS.indexOf(part.kind), part.total, part.bytes.length]);
  room.set(part.bytes, PART_HEADER);
}

function decode(parts: Uint8Array<ArrayBuffer>[]): Map<number, Part> {
  return new Map(parts.map((part) => {
    const [rank, kind, total, length] = new Int32Array(
      part.buffer,
      part.byteOffset,
      PART_HEADER / 4,
    );
    const bytes = part.slice(PART_HEADER, PART_HEADER + length);
    return [rank, { kind: KINDS[kind], total, bytes }];
  }));
}
