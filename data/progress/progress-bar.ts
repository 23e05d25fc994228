// @ts-types="@types/cli-progress"
import { SingleBar } from "cli-progress";
import { basename } from "node:path";
import process from "node:process";
import type { Progress } from "./progress.ts";

/** Milliseconds from one look to the next: of a bar, and of lines where none can be drawn. */
const [BAR_INTERVAL, LINE_INTERVAL] = [100, 5000];

/**
 * Shows how far a command is, on standard error: a bar on a terminal, and elsewhere a plain line
 * every few seconds. Always to be disposed of, or the program does not end.
 */
export class ProgressBar implements Disposable {
  #task: Task | undefined;
  #bar: SingleBar | undefined;
  #lastShown = performance.now();

  show(progress: Progress): void {
    if (progress.task !== this.#task?.name) this.#begin(progress);
    const now = performance.now();
    if (now - this.#lastShown < (this.#bar ? BAR_INTERVAL : LINE_INTERVAL)) return;
    this.#lastShown = now;
    const text = this.#task!.textOf(progress);
    if (this.#bar !== undefined) return this.#bar.update(progress.bytes, { text });
    const percent = Math.floor(100 * progress.bytes / Math.max(1, progress.totalBytes));
    console.error(`${progress.task} ${percent} %  ${text}`);
  }

  #begin(progress: Progress): void {
    this.stop();
    this.#task = new Task(progress);
    if (!process.stderr.isTTY) return;
    this.#bar = new SingleBar({
      stream: process.stderr,
      format: `${progress.task} {bar} {percentage} %  {text}`,
      barsize: 16,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      linewrap: true, // lines are cut short instead; else Ctrl-C leaves a terminal that does not wrap
      clearOnComplete: true,
    });
    this.#bar.start(progress.totalBytes, progress.bytes, { text: "" });
  }

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

/** Milliseconds over which speed is measured: files that an earlier run has done count for no more. */
const SPEED_WINDOW = 30_000;

/** A task and how fast it has been lately. */
class Task {
  readonly name: string;
  readonly #marks: { time: number; bytes: number }[] = [];

  constructor(progress: Progress) {
    this.name = progress.task;
    this.#mark(progress);
  }

  #mark({ bytes }: Progress): void {
    this.#marks.push({ time: performance.now(), bytes });
    while (performance.now() - this.#marks[0].time > SPEED_WINDOW && this.#marks.length > 2) {
      this.#marks.shift();
    }
  }

  /** Such as `120.1 of 500.0 MB, 14.2 MB/s, 27 s left; 0000.jsonl, 12,345 documents`. */
  textOf(progress: Progress): string {
    this.#mark(progress);
    const { file, documents, bytes, totalBytes } = progress;
    const [first, last] = [this.#marks[0], this.#marks.at(-1)!];
    const speed = 1000 * (last.bytes - first.bytes) / Math.max(1, last.time - first.time);
    const left = speed === 0 ? "" : `, ${timeText((totalBytes - bytes) / speed)} left`;
    return `${megabytes(bytes)} of ${megabytes(totalBytes)} MB, ${megabytes(speed)} MB/s${left}; ` +
      `${basename(file)}, ${documents.toLocaleString("en")} documents`;
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** Such as `45 s`, `12 min` or `3.5 h`. */
function timeText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
