import { UserError } from "../kernels/runtime/user-error.ts";
import { messageOf } from "./text/error-message.ts";

/** Jobs that each worker gets ahead: it has enough to do while this thread does one. */
const JOBS_AHEAD = 4;

/** Results that may wait for an earlier one, for each worker: a worker takes a while to start. */
const MOST_WAITING = 24;

type Answer<Result> = { result: Result } | { error: string; forUser: boolean };

/** What a thread does with each job. */
export type Work<Job, Result> = (job: Job) => Result;

/** Does jobs of one kind in this thread, and in workers where there are to be more threads. */
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

  /** The results of jobs, in the order of the jobs. An error of a job is thrown in its turn. */
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

  /** Gives a job to the least busy worker, or does it in this thread if all workers have enough. */
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
  /** Number of jobs that the worker has done, int32 [1], in shared memory. */
  done: Int32Array;
}

/** A worker and its open jobs, in the order in which it does them. */
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

  /**
   * Number of jobs that it has not done yet. Answers do not count: they wait while this thread
   * works.
   */
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

/** Does jobs in a worker: the first message sets it up, each later message is a job. */
export function serve<Setup, Job, Result>(
  prepare: (setup: Setup) => Work<Job, Result> | Promise<Work<Job, Result>>,
): void {
  const scope = self as unknown as WorkerScope;
  scope.onmessage = ({ data: { setup, done } }: MessageEvent<Start<Setup>>) => {
    const work = Promise.resolve().then(() => prepare(setup));
    work.catch(() => {}); // the answer to each job reports it
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

/** The buffers of a message's typed arrays, which move to the other thread without a copy. */
function buffersOf(message: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(message)) return [message.buffer as ArrayBuffer];
  if (typeof message !== "object" || message === null || Array.isArray(message)) return [];
  return Object.values(message).flatMap(buffersOf);
}
