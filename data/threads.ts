import { UserError } from "../kernels/runtime/user-error.ts";
import { messageOf } from "./files/error-message.ts";

/** How many jobs each worker is given ahead: it has enough to do while this thread does one. */
const JOBS_AHEAD = 4;

/** How many results may wait for an earlier one, for each worker: it takes a while to start. */
const MOST_WAITING = 24;

type Answer<Result> = { result: Result } | { error: string; forUser: boolean };

/** What a thread does with each job. */
export type Work<Job, Result> = (job: Job) => Result;

/** Does jobs of one kind in this thread and, where there are to be more, in workers. */
export class Threads<Job, Result> {
  readonly #work: Work<Job, Result>;
  readonly #workers: JobWorker<Job, Result>[];

  /**
   * @param work what this thread does with a job
   * @param count of threads, this one among them
   * @param module the workers' module, which calls {@linkcode serve}
   * @param setup plain data that each worker is set up with
   */
  constructor(work: Work<Job, Result>, count: number, module: URL, setup: unknown) {
    this.#work = work;
    this.#workers = Array.from({ length: count - 1 }, () => new JobWorker(module, setup));
  }

  /** The results of jobs, in the order of the jobs. Throws what a job threw, in its turn. */
  async *map(jobs: AsyncIterable<Job>): AsyncGenerator<Result> {
    const mostWaiting = MOST_WAITING * this.#workers.length;
    const results: Promise<Result>[] = [];
    for await (const job of jobs) {
      const result = this.#do(job);
      result.catch(() => {}); // it is thrown when its turn comes
      results.push(result);
      if (results.length > mostWaiting) yield await results.shift()!;
    }
    for (const result of results) yield await result;
  }

  /** A job is for the least busy worker, or for this thread if all have enough. */
  async #do(job: Job): Promise<Result> {
    const open = this.#workers.filter((worker) => worker.jobs < JOBS_AHEAD);
    if (open.length === 0) return this.#work(job);
    return await open.reduce((a, b) => b.jobs < a.jobs ? b : a).do(job);
  }

  close(): void {
    for (const worker of this.#workers) worker.close();
  }
}

/** What a worker is sent first. */
interface Start<Setup> {
  setup: Setup;
  /** `[1]`, in shared memory: how many jobs the worker has done. */
  done: Int32Array;
}

/** A worker and the jobs whose answers are awaited, in the order in which it does them. */
class JobWorker<Job, Result> {
  readonly #worker: Worker;
  readonly #waiting: PromiseWithResolvers<Result>[] = [];
  readonly #done = new Int32Array(new SharedArrayBuffer(4));
  #given = 0;

  constructor(module: URL, setup: unknown) {
    this.#worker = new Worker(module, { type: "module" });
    this.#worker.postMessage({ setup, done: this.#done } satisfies Start<unknown>);
    this.#worker.onmessage = ({ data }: MessageEvent<Answer<Result>>) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if ("result" in data) resolve(data.result);
      else reject(data.forUser ? new UserError(data.error) : new Error(data.error));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(event.message));
    };
  }

  /** Jobs that it has yet to do. Answers lie about while this thread works, so they do not count. */
  get jobs(): number {
    return this.#given - Atomics.load(this.#done, 0);
  }

  do(job: Job): Promise<Result> {
    const answer = Promise.withResolvers<Result>();
    this.#waiting.push(answer);
    this.#given++;
    this.#worker.postMessage(job, buffersOf(job));
    return answer.promise;
  }

  close(): void {
    this.#worker.terminate();
  }
}

interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
}

/** Answers jobs in a worker: the first message sets it up, each later one is a job. */
export function serve<Setup, Job, Result>(
  prepare: (setup: Setup) => Work<Job, Result> | Promise<Work<Job, Result>>,
): void {
  const scope = self as unknown as WorkerScope;
  scope.onmessage = ({ data: { setup, done } }: MessageEvent<Start<Setup>>) => {
    const work = Promise.resolve().then(() => prepare(setup));
    work.catch(() => {}); // it is told in the answer to each job
    scope.onmessage = async ({ data: job }: MessageEvent<Job>) => {
      try {
        const result = (await work)(job);
        scope.postMessage({ result }, buffersOf(result));
      } catch (error) {
        const message = messageOf(error);
        scope.postMessage({ error: message, forUser: error instanceof UserError }, []);
      }
      Atomics.add(done, 0, 1);
    };
  };
}

/** The buffers of a message's arrays of numbers, which go over to the other thread uncopied. */
function buffersOf(message: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(message)) return [message.buffer as ArrayBuffer];
  if (typeof message !== "object" || message === null || Array.isArray(message)) return [];
  return Object.values(message).flatMap(buffersOf);
}
