import type { Progress } from "./progress.ts";

/** Status of a command that Ctrl-C ended, as shells give it: what follows it with && does not begin. */
export const INTERRUPTED = 130;

/** Remembers Ctrl-C; a second one ends the process at once. */
export class Interruption implements Disposable {
  requested = false;
  readonly #listener: () => void;

  /** @param progress shows what Ctrl-C does, and leaves the terminal as it was when the process ends */
  constructor(progress: Progress) {
    this.#listener = () => {
      if (this.requested) {
        progress[Symbol.dispose]();
        Deno.exit(INTERRUPTED);
      }
      this.requested = true;
      progress.line("Finishing this step and saving; Ctrl-C again to stop at once without saving.");
    };
    Deno.addSignalListener("SIGINT", this.#listener);
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
  }
}
