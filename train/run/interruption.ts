import type { ProgressDisplay } from "../../data/progress/progress-display.ts";

/** Status of a command that Ctrl-C ended, as shells give it: what follows it with && does not begin. */
export const INTERRUPTED = 130;

/** Remembers Ctrl-C; a second one ends the process at once. */
export class Interruption implements Disposable {
  requested = false;
  readonly #listener: () => void;

  /** @param display tells what Ctrl-C does, and is stopped before the process ends */
  constructor(display: ProgressDisplay) {
    this.#listener = () => {
      if (this.requested) {
        display.stop();
        Deno.exit(INTERRUPTED);
      }
      this.requested = true;
      display.line("Finishing this step and saving; Ctrl-C again to stop at once without saving.");
    };
    Deno.addSignalListener("SIGINT", this.#listener);
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
  }
}
