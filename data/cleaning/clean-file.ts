import { addSources, ENTRY, renumberSources, type Trace } from "./clean-documents.ts";
import type { CleanJobResult } from "./clean-job.ts";
import { addJob, type CleanReport, emptyReport } from "./clean-report.ts";
import { addProblem, describeProblem, type Problem } from "../readers/problems.ts";
import { type RecordJob, recordJobs } from "../readers/record-jobs.ts";
import type { PreparedStep } from "../recipe.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { WholeFile } from "../files/whole-file.ts";
import type { WorkFolder } from "../files/work-folder.ts";
import type { Threads } from "../threads.ts";

/** A cleaned input; its documents are in files of the work folder. */
export interface CleanedFile {
  /** The beginning of the names of its files. */
  name: string;
  /** Number of documents that stay so far. */
  documents: number;
  report: CleanReport;
  sources: string[];
  traces: Trace[];
}

export interface FileOptions {
  /** Whether the first record that cannot be read ends the run. */
  strict: boolean;
  /** Number of documents to trace for each step. */
  traced: number;
  /** Called with the number of cleaned documents and the bytes of the file that were read. */
  onProgress: (documents: number, bytes: number) => void;
  /** Called with a line of text for people. */
  onMessage: (text: string) => void;
}

/**
 * Cleans one file into a work folder, unless an earlier run has.
 *
 * @throws UserError if the file cannot be read, or with `strict` if anything is wrong with it
 */
export async function cleanFile(
  path: string,
  name: string,
  steps: PreparedStep[],
  threads: Threads<RecordJob, CleanJobResult>,
  work: WorkFolder,
  { strict, traced, onProgress, onMessage }: FileOptions,
): Promise<CleanedFile> {
  const done = await work.finished<CleanedFile>(name, onMessage);
  if (done !== undefined) return done;

  const report = { ...emptyReport(steps), inputs: [path] };
  const cleaned: CleanedFile = { name, documents: 0, report, sources: [], traces: [] };
  const heed = (problem: Problem) => {
    if (strict) throw new UserError(describeProblem(problem));
    addProblem(report.problems, problem);
  };
  await using lines = await WholeFile.create(work.file(`${name}.jsonl`));
  await using entries = await WholeFile.create(work.file(`${name}.entries`));
  await using statistics = await WholeFile.create(work.file(`${name}.stats`));
  let bytesRead = 0;
  const records = recordJobs(path, heed, (bytes) => bytesRead += bytes);
  for await (const { cleaned: part, problems, leftOut } of threads.map(records)) {
    if (strict && problems.length > 0) heed(problems[0]);
    const sources = addSources(part.sources, cleaned.sources);
    addJob(report, { ...part, sources }, problems, leftOut);
    cleaned.documents += part.entries.length / ENTRY.length;
    await lines.append(part.lines);
    renumberSources(part.entries, sources, cleaned.sources);
    await entries.append(new Uint8Array(part.entries.buffer));
    await statistics.append(part.statistics);
    cleaned.traces = firstTraces([...cleaned.traces, ...part.traces], traced);
    onProgress(report.read.documents, bytesRead);
  }
  const files = {
    [`${name}.jsonl`]: lines,
    [`${name}.entries`]: entries,
    [`${name}.stats`]: statistics,
  };
  await work.finish(name, files, cleaned);
  return cleaned;
}

/** The first `count` traces of each operator. */
export function firstTraces(traces: Trace[], count: number): Trace[] {
  const seen: Record<string, number> = {};
  return traces.filter(({ operator }) => (seen[operator] = (seen[operator] ?? 0) + 1) <= count);
}
