import { Threads } from "../../data/threads.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { type InitialJob, initialWork } from "../../model/network/initialization.ts";
import type { Parameter } from "../../model/network/layer.ts";

type Values = Float32Array<ArrayBuffer>;

/** With fewer values, threads take longer to start than they save. */
const FEW_VALUES = 5e7;

/** The two largest parameters of a language model are half of it: more threads would wait for them. */
const MOST_THREADS = 8;

/** So many times the memory of all values must be free. */
const ROOM = 2;

/**
 * The values of parameters at the start of training, made in several threads while kernels are
 * built: for 1.1 billion values, one thread takes more than ten seconds. The values are those of
 * `initialValues`.
 */
export class InitialWeights implements Disposable {
  readonly #threads: Threads<InitialJob, Values>;
  readonly #made: PromiseWithResolvers<Values>[];

  /**
   * Begins to make them, the largest first.
   *
   * @param parts in their published order
   * @param threads how many, this one among them
   */
  constructor(parts: readonly Parameter[], seed: number, threads: number) {
    const module = new URL("./initial-weights-worker.ts", import.meta.url);
    this.#threads = new Threads(initialWork(seed), threads, module, seed);
    this.#made = parts.map(() => Promise.withResolvers());
    for (const { promise } of this.#made) promise.catch(() => {}); // thrown to who takes it
    const jobs = parts.map(({ shape, initial }, index) => ({ shape, initial, index }))
      .sort((a, b) => sizeOf(b.shape) - sizeOf(a.shape));
    this.#make(jobs);
  }

  /**
   * Decides how many threads a model is worth.
   *
   * @param gpu of whose machine the memory is
   * @param ranks processes that do the same; those of other hosts count too, as if they were here
   * @returns fewer than two if the values are to be made when they are needed
   */
  static threadsFor(count: number, gpu: Gpu, ranks: number): number {
    const free = gpu.host.freeMemory?.() ?? 0;
    if (count < FEW_VALUES || free < ROOM * ranks * count * 4) return 1;
    return Math.min(MOST_THREADS, Math.floor(navigator.hardwareConcurrency / ranks));
  }

  /** Takes the values of a parameter, which are given away once. */
  async take(index: number): Promise<Values> {
    const { promise } = this.#made[index];
    delete this.#made[index];
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#threads.close();
  }

  async #make(jobs: readonly InitialJob[]): Promise<void> {
    const made = jobs.map(({ index }) => this.#made[index]);
    try {
      for await (const values of this.#threads.map(ReadableStream.from(jobs))) {
        made.shift()!.resolve(values);
      }
    } catch (error) {
      for (const { reject } of made) reject(error);
    }
    this.#threads.close();
  }
}
