import { basename, dirname, join } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readResults, type Results, RESULTS_FILE } from "../../model/host/evaluation-results.ts";
import { filesBelow, readStages, type Stage } from "../../model/runs/stage-folder.ts";

/** The results of an evaluation, and where they are. */
export interface ReportedResults extends Results {
  /** The path of their folder. */
  folder: string;
}

/** What a report is about. */
export interface ReportData {
  /** The folder that was read. */
  folder: string;
  /** The stages of training, in their order. */
  stages: Stage[];
  /** The results of evaluations. */
  evaluations: ReportedResults[];
}

/**
 * Reads a run, or a folder of runs: every `metrics.jsonl` below it is a stage, every `results.json`
 * an evaluation.
 *
 * @param say called with a line of text if lines of measurements are broken
 * @throws {UserError} when there is neither
 */
export async function readReportData(
  folder: string,
  say?: (text: string) => void,
): Promise<ReportData> {
  const files = await filesBelow(folder);
  const stages = await readStages(files, folder, say);
  const evaluations = await Promise.all(
    files.filter((file) => basename(file) === RESULTS_FILE).sort().map(async (file) => ({
      ...await readResults(file),
      folder: dirname(file),
    })),
  );
  if (stages.length === 0 && evaluations.length === 0) {
    throw new UserError(
      `${folder}: nothing to report: no metrics.jsonl of a training run and no results.json of an ` +
        `evaluation in it`,
    );
  }
  return { folder: join(folder, "."), stages, evaluations };
}
