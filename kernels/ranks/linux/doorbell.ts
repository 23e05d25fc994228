import type { HostMemory } from "../host-memory.ts";
import { libc } from "./libc.ts";

/** Number of the system call, by the processor's architecture. */
const FUTEX = { x86_64: 202n, aarch64: 98n }[Deno.build.arch];
const WAIT = 0;
const WAKE = 1;

/**
 * Lets a rank sleep until another one of its host has done something for it. A word of the host's
 * memory counts the rings; a futex of the kernel, on a thread that Deno has for blocking calls, ends
 * the sleep when it changes. On two busy cores a waiting rank goes on 0.25 ms after the ring (median);
 * asking by a timer of a millisecond took 1.7 to 2.2 ms, twice for each piece of an exchange.
 */
export class Doorbell {
  /** Seconds and nanoseconds; asked for its buffer, V8 keeps it where it is. */
  readonly #time = new Uint8Array(16);
  readonly #timeView = new DataView(this.#time.buffer);
  readonly #base: Deno.PointerObject;
  #heard = 0;
  #sleep: Promise<unknown> | undefined;

  /** @param place of the rank that is to be woken */
  constructor(private readonly memory: HostMemory, private readonly place: number) {
    this.#base = Deno.UnsafePointer.of(memory.bytes)!;
  }

  /** Tells ranks of this host that something has been stored that they may wait for. */
  ring(places: readonly number[]): void {
    const { words } = this.memory;
    for (const place of places) {
      Atomics.add(words, this.memory.rings(place), 1);
      // Not sleeping yet, it sees that the count has changed before it does.
      if (Atomics.load(words, this.memory.asleep(place)) === 0) continue;
      libc().futexWake(FUTEX, this.#address(place), WAKE, 1, null, null, 0);
    }
  }

  /** From here on, what is rung ends the next {@linkcode sleep}: what it tells of may be missed. */
  listen(): void {
    const { words } = this.memory;
    Atomics.store(words, this.memory.asleep(this.place), 1);
    this.#heard = Atomics.load(words, this.memory.rings(this.place));
  }

  /** Sleeps until somebody has rung since {@linkcode listen}, at most so many milliseconds. */
  async sleep(milliseconds: number): Promise<void> {
    // A sleep that was left early has not ended yet: it ends this one.
    this.#sleep ??= this.#wait(milliseconds);
    await this.#sleep;
    this.#sleep = undefined;
  }

  /** Ends listening. */
  wakeUp(): void {
    Atomics.store(this.memory.words, this.memory.asleep(this.place), 0);
  }

  #wait(milliseconds: number): Promise<unknown> {
    this.#timeView.setBigInt64(8, BigInt(milliseconds * 1e6), true);
    return libc().futexWait(
      FUTEX,
      this.#address(this.place),
      WAIT,
      this.#heard,
      this.#time,
      null,
      0,
    );
  }

  #address(place: number): Deno.PointerObject {
    return Deno.UnsafePointer.offset(this.#base, 4 * this.memory.rings(place))!;
  }
}
