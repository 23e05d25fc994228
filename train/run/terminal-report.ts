import { StopSignals } from "../../kernels/host/stop-signals.ts";
import { ProgressDisplay } from "../../data/progress/progress-display.ts";
import type { RunOptions } from "./run-options.ts";
import { statusText } from "./step-status.ts";

/** What a terminal shows of a run. */
export interface TerminalReport extends RunOptions, Disposable {
  /** The command's exit status: 0 unless a signal stopped the run. */
  readonly status: number;
}

/**
 * Shows a run on the terminal: a progress bar with messages above it. During training, Ctrl-C and
 * what else {@linkcode StopSignals} heeds stop the run after the current step, and a second Ctrl-C
 * ends the process at once. Before and after training there is nothing to save, and the first signal
 * ends the process.
 */
export function terminalReport(): TerminalReport {
  const display = new ProgressDisplay("stdout");
  const stop = new StopSignals(
    (text) => display.line(`Finishing this step and saving; ${text}`),
    () => display.stop(),
  );
  const show = (done: number, total: number, status: string) =>
    display.show({ task: "step", done, total, status });
  return {
    began: 0, // with the process
    signal: stop.signal,
    get status() {
      return stop.status;
    },
    onMessage: (text) => display.line(text),
    onProgress(progress) {
      display.show(progress);
      if (progress.done >= progress.total) display.stop();
    },
    onStart(done, steps) {
      stop.listen();
      show(done, steps, "");
    },
    onStep: (step) => show(step.step, step.steps, statusText(step)),
    onValidation: (step, { loss }) =>
      display.line(`step ${step}: validation loss ${loss.toFixed(4)}`),
    onEnd() {
      stop[Symbol.dispose]();
      display.stop();
    },
    [Symbol.dispose]: () => display.stop(),
  };
}
