import type { PreparedStep } from "../recipe.ts";
import { FileProgress } from "../progress/file-progress.ts";
import type { OnProgress } from "../progress/progress.ts";
import { WholeFile } from "../files/whole-file.ts";
import type { WorkFolder } from "../files/work-folder.ts";
import { Threads } from "../threads.ts";
import { type CleanedFile, cleanFile } from "./clean-file.ts";
import { ENTRY } from "./clean-documents.ts";
import { cleaningWork, type CleanSetup } from "./clean-job.ts";
import { addKept, addReport, type CleanReport, emptyReport } from "./clean-report.ts";
import { appendKept, fingerprintsOf } from "./kept-documents.ts";
import { type Fingerprints, firstOfEachGroup } from "./near-duplicates.ts";

export interface PhaseOptions {
  workers: number;
  strict: boolean;
  onProgress: OnProgress;
  /** Called with a line of text for people. */
  onMessage: (text: string) => void;
}

/** A pass over documents: mappers and filters, and perhaps a deduplicator at the end. */
export class CleanPhase {
  constructor(
    readonly setup: CleanSetup,
    readonly steps: PreparedStep[],
    readonly work: WorkFolder,
    readonly name: string,
    readonly options: PhaseOptions,
  ) {}

  /** Cleans the documents of each file, up to the decision of the deduplicator. */
  async cleanFiles(paths: string[]): Promise<CleanedFile[]> {
    const { strict, workers, onProgress, onMessage } = this.options;
    const work = cleaningWork(this.steps, this.setup);
    const module = new URL("./clean-worker.ts", import.meta.url);
    const threads = new Threads(work, workers, module, this.setup);
    const progress = await FileProgress.over("cleaning", paths, onProgress);
    const files: CleanedFile[] = [];
    try {
      for (const [i, path] of paths.entries()) {
        const name = `${this.name}-${i + 1}`;
        const file = await cleanFile(path, name, this.steps, threads, this.work, {
          strict,
          onMessage,
          traced: this.setup.options.traced,
          onProgress: (documents, bytes) => progress.report(documents, bytes),
        });
        files.push(file);
        progress.finish(file.report.read.documents);
      }
    } finally {
      threads.close();
    }
    return files;
  }

  /** Writes the documents that stay. */
  async writeKept(files: CleanedFile[], path: string): Promise<CleanReport> {
    const report = emptyReport(this.steps);
    for (const file of files) addReport(report, file.report);
    const fingerprints = fingerprintsOf(files, this.work);
    const kept = this.#decide(fingerprints, report);
    await using output = await WholeFile.create(path);
    const paths = files.map(({ name }) => this.work.file(`${name}.jsonl`));
    const progress = await FileProgress.over("writing", paths, this.options.onProgress);
    let start = 0;
    for (const file of files) {
      const own = kept.subarray(start, start += file.documents);
      const seen = { documents: 0, bytes: 0 };
      await appendKept(output, file, this.work, own, (entry, stays) => {
        if (stays) addKept(report, entry, file.sources);
        progress.report(++seen.documents, seen.bytes += entry[ENTRY.bytes]);
      });
      progress.finish(file.documents);
    }
    await output.finish();
    return report;
  }

  /** Which documents stay, uint8 [documents] of 1 and 0. */
  #decide(fingerprints: Fingerprints, report: CleanReport): Uint8Array {
    const deduplicator = this.steps.at(-1)?.operator;
    if (deduplicator?.kind !== "deduplicator") return new Uint8Array(fingerprints.length).fill(1);
    const kept = firstOfEachGroup(fingerprints, deduplicator);
    const keptCount = kept.reduce((sum, stays) => sum + stays, 0);
    report.steps.at(-1)!.dropped = fingerprints.length - keptCount;
    return kept;
  }
}
