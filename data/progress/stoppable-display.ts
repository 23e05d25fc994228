import { StopSignals } from "../../kernels/host/stop-signals.ts";
import type { Progress } from "./progress.ts";
import { ProgressDisplay } from "./progress-display.ts";

/**
 * Shows the progress of a command on standard error, until a signal stops the command: then the next
 * progress that it would show throws, so that the command closes what is open and removes what is
 * unfinished. What is finished is kept, and the same command goes on from there.
 */
export class StoppableDisplay implements Disposable {
  readonly #display = new ProgressDisplay("stderr");
  readonly #stop = new StopSignals(
    (text) => this.line(`Stopping; ${text}`),
    () => this.#display.stop(),
  );

  constructor() {
    this.#stop.listen();
  }

  /** Aborted, with a {@linkcode Stopped} as the reason, when the command is to stop. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** @throws {Stopped} if the command is to stop */
  show(progress: Progress): void {
    this.#stop.signal.throwIfAborted();
    this.#display.show(progress);
  }

  /** Writes a line of text, above the bar if there is one. */
  line(text: string): void {
    this.#display.line(text);
  }

  /** Ends the current task's bar, so that the command can write to the terminal again. */
  stop(): void {
    this.#display.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#stop[Symbol.dispose]();
  }
}
