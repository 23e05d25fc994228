// @ts-types="@types/cli-progress"
import { Format, MultiBar, type SingleBar } from "cli-progress";
import process from "node:process";
import { Pace } from "./pace.ts";
import type { Progress } from "./progress.ts";
import { timeText } from "./time-text.ts";

/** Milliseconds between two lines where no bar can be drawn. */
const LINE_INTERVAL = 5000;

/**
 * Shows how far a command is, one task after another: a bar on a terminal, and elsewhere a plain
 * line every few seconds. Must be disposed of, or the program does not end.
 *
 * On standard output the lines belong to what the command says: the bar of a task stays on the
 * screen, and its first and last line are always written. On standard error they are only a sign of
 * life: the bar is removed, and a short task writes no line.
 */
export class ProgressDisplay implements Disposable {
  readonly #output: "stdout" | "stderr";
  #task: { progress: Progress; pace: Pace } | undefined;
  #bars: MultiBar | undefined;
  #bar: SingleBar | undefined;
  #lastLine: number;

  /** Shows progress on standard output or on standard error. */
  constructor(output: "stdout" | "stderr") {
    this.#output = output;
    this.#lastLine = output === "stdout" ? -Infinity : performance.now();
  }

  /** Shows a task's progress; another task's name begins another bar. */
  show(progress: Progress): void {
    if (progress.task !== this.#task?.progress.task) return this.#begin(progress);
    const now = performance.now();
    this.#task.pace.update(progress.done, now);
    this.#task.progress = progress;
    if (this.#bar !== undefined) return this.#bar.update(progress.done);
    const isLast = this.#output === "stdout" && progress.done >= progress.total;
    if (now - this.#lastLine < LINE_INTERVAL && !isLast) return;
    this.#lastLine = now;
    this.#write(progressText(progress, this.#task.pace));
  }

  /** Writes a line of text, above the bar if there is one. */
  line(text: string): void {
    if (this.#bars === undefined) this.#write(text);
    else this.#bars.log(`${text}\n`);
  }

  /** Ends the current task's bar, so that the command can write to the terminal again. */
  stop(): void {
    this.#bars?.update(); // writes the lines that are still waiting
    this.#bars?.stop();
    this.#bars = this.#bar = this.#task = undefined;
  }

  /** Ends the current task's bar. */
  [Symbol.dispose](): void {
    this.stop();
  }

  #begin(progress: Progress): void {
    this.stop();
    const task = this.#task = { progress, pace: new Pace(progress.done, performance.now()) };
    const stream = process[this.#output];
    if (!stream.isTTY) return;
    if (stream.listenerCount("error", ignoreError) === 0) stream.on("error", ignoreError);
    this.#bars = new MultiBar({
      stream,
      format: (options, { progress }) =>
        `${Format.BarFormat(progress, options)} ${progressText(task.progress, task.pace)}`,
      barsize: 16,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      forceRedraw: true, // or the bar is missing after a line was put above it
      linewrap: true, // long lines are cut; switching wrapping off would outlive a killed process
      clearOnComplete: this.#output === "stderr",
    });
    this.#bar = this.#bars.create(progress.total, progress.done);
  }

  #write(line: string): void {
    try {
      if (this.#output === "stdout") console.log(line);
      else console.error(line);
    } catch {
      ignoreError();
    }
  }
}

/** A terminal that was closed shows nothing, which is no reason to end a command in its midst. */
function ignoreError(): void {}

/** Such as `ceval 345/1346  12.3 questions/s  7,300 tokens/s  1m21s left`. */
export function progressText(progress: Progress, pace: Pace): string {
  const { task, done, total, unit, status } = progress;
  const inBytes = unit === "bytes";
  const { rate } = pace;
  const left = pace.secondsTo(total);
  return [
    `${task} ${inBytes ? `${megabytes(done)}/${megabytes(total)} MB` : `${done}/${total}`}`,
    rate > 0 && unit && (inBytes ? `${megabytes(rate)} MB/s` : `${rate.toFixed(1)} ${unit}/s`),
    status,
    left !== undefined && `${timeText(left)} left`,
  ].filter(Boolean).join("  ");
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
