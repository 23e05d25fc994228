import { readMetricLines, type StepMetrics } from "../../model/host/step-metrics.ts";
import { writeError } from "../../data/files/write-error.ts";

/**
 * A run's measurements: a JSON Lines file that only grows. What a run that was cut off wrote after
 * its last checkpoint is taken back when it goes on from there, so that no step stands there twice.
 */
export class MetricsLog implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #path: string;

  /**
   * Opens or makes the file at `path` for a run whose checkpoint has `step` steps behind it.
   *
   * @throws UserError naming the line if the file holds anything else, or if it cannot be written
   */
  constructor(path: string, step: number) {
    const kept = readMetricLines(path).filter(({ metrics }) => metrics.step <= step);
    this.#path = path;
    try {
      this.#file = Deno.openSync(path, { write: true, create: true });
    } catch (error) {
      throw writeError(error, path, 0);
    }
    this.#file.truncateSync(kept.at(-1)?.end ?? 0);
    this.#file.seekSync(0, Deno.SeekMode.End);
  }

  /** @throws UserError when the disk is full; the next run of this file drops the broken line */
  append(metrics: StepMetrics): void {
    const line = new TextEncoder().encode(JSON.stringify(metrics) + "\n");
    try {
      for (let written = 0; written < line.length;) {
        written += this.#file.writeSync(line.subarray(written));
      }
    } catch (error) {
      throw writeError(error, this.#path, line.length);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
