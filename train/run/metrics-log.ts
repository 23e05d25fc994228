import { readMetricLines, type StepMetrics } from "../../model/host/step-metrics.ts";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";

/**
 * The metrics of a run: a JSON Lines file with one line per step. When a run continues from a
 * checkpoint, the lines after that checkpoint are removed, so that no step is there twice.
 */
export class MetricsLog implements Disposable {
  readonly #file: AppendOnlyFile;

  /**
   * Opens or creates the file at `path` for a run that continues after `step` steps.
   *
   * @param say called with a line of text if lines of the file are broken
   * @throws UserError if the file holds no measurement but something else, or cannot be written
   */
  constructor(path: string, step: number, say?: (text: string) => void) {
    const kept = readMetricLines(path, say).filter(({ metrics }) => metrics.step <= step);
    this.#file = new AppendOnlyFile(path, kept.at(-1)?.end ?? 0);
  }

  /** @throws UserError when the disk is full; the next start of the run removes the broken line */
  append(metrics: StepMetrics): void {
    this.#file.append(JSON.stringify(metrics) + "\n");
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
