import type { Gpu } from "../runtime/device.ts";
import type { Plan } from "../runtime/plan.ts";

/**
 * A micro-batch or an update on its way: the GPU is given its dispatches bit by bit, so that weights
 * can come and gradients can leave between them, and the host's part of the exchange runs beside the
 * rest.
 */
export class ComputationInParts {
  #given = 0;
  #done: Promise<number> | undefined;

  /** Nothing is submitted yet. */
  constructor(private readonly gpu: Gpu, private readonly plan: Plan) {}

  /** Submits the dispatches before `end` that are not submitted yet. @returns whether there were any */
  upTo(end: number): boolean {
    const last = Math.min(end, this.plan.dispatches.length);
    if (this.#given >= last) return false;
    const encoder = this.gpu.device.createCommandEncoder();
    this.plan.encodeRange(encoder, this.#given, last);
    this.plan.submit(encoder.finish());
    this.#given = last;
    return true;
  }

  /** Submits one of so many equal parts of what is left: the GPU computes while copies are waited for. */
  share(parts: number): void {
    this.upTo(this.#given + Math.ceil((this.plan.dispatches.length - this.#given) / parts));
  }

  /**
   * Submits the rest.
   *
   * @returns when the GPU is done with it, by `performance.now`
   */
  finish(): Promise<number> {
    this.upTo(Infinity);
    return this.#done ??= this.gpu.device.queue.onSubmittedWorkDone().then(() => performance.now());
  }
}
