import { readMetricLines, type StepMetrics } from "../../model/host/step-metrics.ts";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";

/**
 * A run's measurements: a JSON Lines file that only grows. What a run that was cut off wrote after
 * its last checkpoint is taken back when it goes on from there, so that no step stands there twice.
 */
export class MetricsLog implements Disposable {
  readonly #file: AppendOnlyFile;

  /**
   * Opens or makes the file at `path` for a run whose checkpoint has `step` steps behind it.
   *
   * @throws UserError naming the line if the file holds anything else, or if it cannot be written
   */
  constructor(path: string, step: number) {
    const kept = readMetricLines(path).filter(({ metrics }) => metrics.step <= step);
    this.#file = new AppendOnlyFile(path, kept.at(-1)?.end ?? 0);
  }

  /** @throws UserError when the disk is full; the next run of this file drops the broken line */
  append(metrics: StepMetrics): void {
    this.#file.append(JSON.stringify(metrics) + "\n");
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
