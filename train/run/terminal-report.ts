import { ProgressDisplay } from "../../data/progress/progress-display.ts";
import type { RunOptions } from "./run-options.ts";
import { statusText } from "./step-status.ts";

/** Exit status of a command that Ctrl-C stopped, as in shells: a command after && does not start. */
export const INTERRUPTED = 130;

/**
 * Shows a run on the terminal: a progress bar with messages above it. During training, Ctrl-C stops
 * the run after the current step, and a second Ctrl-C ends the process at once. Before and after
 * training there is nothing to save, and the first Ctrl-C ends the process.
 */
export function terminalReport(): RunOptions & Disposable {
  const display = new ProgressDisplay("stdout");
  const stop = new AbortController();
  const onInterrupt = () => {
    if (stop.signal.aborted) {
      display.stop();
      Deno.exit(INTERRUPTED);
    }
    stop.abort();
    display.line("Finishing this step and saving; Ctrl-C again to stop at once without saving.");
  };
  const show = (done: number, total: number, status: string) =>
    display.show({ task: "step", done, total, status });
  return {
    signal: stop.signal,
    onMessage: (text) => display.line(text),
    onStart(done, steps) {
      Deno.addSignalListener("SIGINT", onInterrupt);
      show(done, steps, "");
    },
    onStep: (step) => show(step.step, step.steps, statusText(step)),
    onValidation: (step, { loss }) =>
      display.line(`step ${step}: validation loss ${loss.toFixed(4)}`),
    onEnd() {
      Deno.removeSignalListener("SIGINT", onInterrupt);
      display.stop();
    },
    [Symbol.dispose]: () => display.stop(),
  };
}
