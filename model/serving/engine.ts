import type { LanguageModel } from "../inference/language-model.ts";
import {
  type BatchRoom,
  type Prompt,
  RunningBatch,
  type TextStep,
} from "../inference/running-batch.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { ApiError } from "./api-error.ts";
import { type ScoredToken, scoreToken } from "./scored-token.ts";

/**
 * Prompts that are read between two steps of the running texts have no more than so many tokens
 * together, unless one alone has more: nobody waits long because others come.
 */
const PROMPT_TOKENS_AT_ONCE = 512;

/** A text that waits for a seat, or has one. */
interface Job extends Prompt {
  /** Called with each of its steps. */
  readonly onStep: (step: TextStep) => void;
  /** Called where it cannot go on. */
  readonly onError: (error: unknown) => void;
}

/** A step of one of a request's texts. */
export interface RequestStep {
  /** The text's place in the request. */
  readonly place: number;
  /** The token; absent where a stop token has ended the text. */
  readonly id?: number;
  /** The token's log-probability, where it is asked for. */
  readonly scored?: ScoredToken;
  /** Why this is the text's last step, if it is. */
  readonly end?: "stop" | "length";
}

/** A request's texts, being continued. */
export interface Continuation {
  /** The steps of all its texts, each as soon as it is known. */
  readonly steps: AsyncGenerator<RequestStep>;
  /** Ends one of the texts, or all that are left: their seats are free for others. */
  stop(place?: number): void;
}

/**
 * Continues the texts of requests in one running batch (continuous batching, as in Orca, Yu et al.,
 * OSDI 2022, and vLLM): they wait in a queue for a seat, in their order, and leave it when they end.
 */
export class Engine {
  #waiting: Job[] = [];
  /** Those that wait and those that are being continued. */
  readonly #jobs = new Set<Job>();
  #wake: () => void = () => {};
  #isClosing = false;
  #hasFailed = false;
  readonly #ended: Promise<void>;

  private constructor(
    private readonly gpu: Gpu,
    private readonly batch: RunningBatch<Job>,
    private readonly most: number,
    onFailure: (error: unknown) => void,
  ) {
    this.#ended = this.#run().catch((error) => {
      this.#hasFailed = true;
      for (const job of this.#jobs) job.onError(faultOf(error));
      onFailure(error);
    });
  }

  /**
   * Allocates memory for texts that are continued together.
   *
   * @param most how many more may wait
   * @param onFailure called with an error after which nothing can be computed any more
   * @throws UserError if there is too little memory
   */
  static async open(
    { gpu, parameters, suppressIds }: LanguageModel,
    room: BatchRoom,
    most: number,
    onFailure: (error: unknown) => void,
  ): Promise<Engine> {
    const needs = { drawn: true, penalized: true, suppressIds };
    const batch = await RunningBatch.open<Job>(gpu, parameters, room, needs);
    return new Engine(gpu, batch, most, onFailure);
  }

  /** How many texts are being continued. */
  get running(): number {
    return this.batch.size;
  }

  /** How many texts wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether nothing can be computed any more. */
  get hasFailed(): boolean {
    return this.#hasFailed || this.gpu.hasFailed;
  }

  /**
   * Takes the texts of a request, all or none.
   *
   * @param logProbs how many of the likeliest tokens are told beside each; none is scored if left out
   * @throws ApiError if too many wait already
   */
  submit(prompts: readonly Omit<Prompt, "wantsLogits">[], logProbs?: number): Continuation {
    if (this.#hasFailed || this.#isClosing) {
      throw new ApiError(503, "The server is going down.", { headers: { "retry-after": "10" } });
    }
    if (this.waiting + prompts.length > this.most + this.batch.room) {
      throw new ApiError(
        429,
        `${this.running} texts are being written and ${this.waiting} wait, of at most ${this.most}: ` +
          `try again later`,
        { code: "queue_full", headers: { "retry-after": "1" } },
      );
    }
    const events: (RequestStep | { error: unknown })[] = [];
    let told = () => {};
    const tell = (event: (typeof events)[number]) => {
      events.push(event);
      told();
    };
    const jobs = prompts.map((prompt, place): Job => ({
      ...{ ...prompt, wantsLogits: logProbs !== undefined },
      onStep: ({ token, end }) => {
        // At once: whoever asked may read late, and logits are as many as the vocabulary.
        const scored = token?.logits && scoreToken(token.id, token.logits, logProbs!);
        tell({ place, id: token?.id, scored, end });
      },
      onError: (error) => tell({ error }),
    }));
    this.#waiting.push(...jobs);
    for (const job of jobs) this.#jobs.add(job);
    this.#wake();
    const left = new Set(jobs);
    const stop = (place?: number) => {
      for (const job of place === undefined ? [...left] : [jobs[place]]) {
        left.delete(job);
        this.#drop(job);
      }
      told();
    };
    async function* steps() {
      try {
        while (left.size > 0 || events.length > 0) {
          const event = events.shift();
          if (event === undefined) {
            await new Promise<void>((resolve) => told = resolve);
          } else if ("error" in event) {
            throw event.error;
          } else {
            if (event.end) left.delete(jobs[event.place]);
            yield event;
          }
        }
      } finally {
        stop();
      }
    }
    return { steps: steps(), stop };
  }

  /** Ends when all that was submitted has ended; takes nothing more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#wake();
    await this.#ended;
    await this.batch.close();
  }

  #drop(job: Job): void {
    this.#jobs.delete(job);
    this.#waiting = this.#waiting.filter((other) => other !== job);
    this.batch.leave(job);
  }

  async #run(): Promise<void> {
    while (true) {
      await this.#readPrompts();
      if (this.batch.size > 0) {
        this.#tell(await this.batch.step());
      } else if (this.waiting === 0) {
        if (this.#isClosing) return;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    }
  }

  /** One after another: what a prompt is read with could change the last digits of its numbers. */
  async #readPrompts(): Promise<void> {
    let tokens = 0;
    while (this.batch.room > 0 && this.waiting > 0) {
      tokens += this.#waiting[0].ids.length;
      if (tokens > PROMPT_TOKENS_AT_ONCE && tokens > this.#waiting[0].ids.length) return;
      const job = this.#waiting.shift()!;
      try {
        this.#tell(await this.batch.join([job]));
      } catch (error) {
        this.gpu.check(); // without it, nothing is computed any more for anybody
        this.#jobs.delete(job);
        job.onError(faultOf(error));
      }
    }
  }

  #tell(steps: readonly TextStep<Job>[]): void {
    for (const step of steps) {
      if (step.end) this.#jobs.delete(step.text);
      step.text.onStep(step);
    }
  }
}

/** Whoever asked is not to blame, be it numbers that are not finite or a GPU that was lost. */
function faultOf(error: unknown): unknown {
  return error instanceof UserError ? new ApiError(500, error.message) : error;
}
