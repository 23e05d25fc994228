import type { Communicator } from "../../../kernels/ranks/communicator.ts";
import { UserError } from "../../../kernels/runtime/user-error.ts";

/** Ranks that are all in this process, for tests of what they compute: each is to be awaited at once. */
export function ranksInProcess(size: number): Communicator[] {
  const given = new Map<string, Mailbox>();
  const mailbox = (from: number, to: number): Mailbox => {
    const key = `${from} ${to}`;
    if (!given.has(key)) given.set(key, new Mailbox());
    return given.get(key)!;
  };
  const rounds: { parts: unknown[]; all: PromiseWithResolvers<unknown[]> }[] = [];
  const all = Array.from({ length: size }, (_, rank) => rank);
  return all.map((rank) => {
    let round = 0;
    const gather = async (own: unknown): Promise<unknown[]> => {
      const { parts, all } = rounds[round] ??= { parts: [], all: Promise.withResolvers() };
      round++;
      parts[rank] = own;
      if (Object.keys(parts).length === size) all.resolve(parts);
      return await all.promise;
    };
    return {
      rank,
      size,
      host: "here",
      hostRanks: all,
      allGather: async (numbers) => await gather([...numbers]) as number[][],
      allGatherText: async (text) => await gather(text) as string[],
      barrier: async () => void await gather(undefined),
      async give(bytes, to) {
        await Promise.resolve();
        for (const other of to) mailbox(rank, other).put(bytes.slice());
      },
      async take(bytes, from) {
        const came = await mailbox(from, rank).get();
        if (came.length !== bytes.length) {
          throw new Error(`${from} gives ${came.length} bytes, ${rank} takes ${bytes.length}`);
        }
        bytes.set(came);
      },
      fail: (reason) => Promise.resolve(new UserError(reason)),
      close: async () => void await gather(undefined),
    };
  });
}

/** What was given and not yet taken, or is awaited and not yet given. */
class Mailbox {
  readonly #came: Uint8Array[] = [];
  readonly #awaited: ((bytes: Uint8Array) => void)[] = [];

  put(bytes: Uint8Array): void {
    const taker = this.#awaited.shift();
    if (taker) taker(bytes);
    else this.#came.push(bytes);
  }

  get(): Promise<Uint8Array> {
    const bytes = this.#came.shift();
    if (bytes) return Promise.resolve(bytes);
    return new Promise((resolve) => this.#awaited.push(resolve));
  }
}
