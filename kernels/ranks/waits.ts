import { setImmediate } from "node:timers";
import type { Doorbell } from "./linux/doorbell.ts";

/** Milliseconds in which nothing came before a wait stops asking at full speed. */
const SPIN = 1;

interface Wait {
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** When it began, by `performance.now`. */
  readonly since: number;
}

/**
 * Waits for what other processes do, by asking: all waits of a rank share one loop, which asks as
 * fast as it can while things arrive, then whenever another rank rings; the event loop lives on in
 * both.
 *
 * `setImmediate` is node's own, as Dawn's binding is kept from the global one (`host/dawn.ts`).
 */
export class Waits {
  #waits: Wait[] = [];
  #asking = false;
  #lastArrival = 0;
  /** Ends the sleep that the loop is in. */
  #wake = () => {};

  /**
   * One for all waits of a rank.
   *
   * @param failure gives the reason why no wait has sense any more, asked at every turn
   * @param bell rung by ranks of this host
   * @param longestSleep milliseconds after which is asked for what nobody rings for
   */
  constructor(
    private readonly failure: () => Error | undefined,
    private readonly bell: Doorbell,
    private readonly longestSleep: number,
  ) {}

  /**
   * Resolves when `ready` says so.
   *
   * @throws what `failure` gives or `ready` throws
   */
  until(ready: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const since = performance.now();
      const wait = { ready, resolve, reject, since };
      if (this.#settle(wait)) return;
      this.#waits.push(wait);
      this.#lastArrival = since;
      this.#wake();
      if (!this.#asking) this.#ask();
    });
  }

  /** Throws a failure that has been recorded, once all ranks may end. */
  async failed(): Promise<never> {
    await this.until(() => false);
    throw new Error("a wait for nothing has ended");
  }

  /** Seconds that the oldest wait has lasted. */
  longest(): number {
    return this.#waits.length === 0 ? 0 : (performance.now() - this.#waits[0].since) / 1000;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    do {
      if (performance.now() - this.#lastArrival < SPIN) {
        await new Promise<void>((turn) => setImmediate(turn));
      } else await this.#sleep();
    } while (this.#askOnce());
    this.#asking = false;
  }

  async #sleep(): Promise<void> {
    this.bell.listen();
    const before = this.#waits.length;
    // What was stored before it listened has not been rung for.
    this.#askOnce();
    if (this.#waits.length === before) {
      const left = new Promise<void>((turn) => this.#wake = turn);
      await Promise.race([left, this.bell.sleep(this.longestSleep)]);
    }
    this.bell.wakeUp();
  }

  /** Whether there is something left to wait for. */
  #askOnce(): boolean {
    const before = this.#waits.length;
    this.#waits = this.#waits.filter((wait) => !this.#settle(wait));
    if (this.#waits.length < before) this.#lastArrival = performance.now();
    return this.#waits.length > 0;
  }

  /** Whether a wait has come to its end. */
  #settle({ ready, resolve, reject }: Wait): boolean {
    const failure = this.failure();
    if (failure) {
      reject(failure);
      return true;
    }
    try {
      if (!ready()) return false;
      resolve();
    } catch (error) {
      reject(error);
    }
    return true;
  }
}
