/** Status of a command that Ctrl-C ended, as shells give it: what follows it with && does not begin. */
export const INTERRUPTED = 130;

/** Remembers Ctrl-C; a second one ends the process at once. */
export class Interruption implements Disposable {
  requested = false;
  readonly #listener = () => {
    if (this.requested) Deno.exit(INTERRUPTED);
    this.requested = true;
    console.log("\nFinishing this step and saving; Ctrl-C again to stop at once without saving.");
  };

  constructor() {
    Deno.addSignalListener("SIGINT", this.#listener);
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
  }
}
