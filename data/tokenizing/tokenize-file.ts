import { UserError } from "../../kernels/runtime/user-error.ts";
import {
  addProblem,
  describeProblem,
  noProblems,
  type Problem,
  type ProblemReport,
} from "../readers/problems.ts";
import { type RecordJob, recordJobs } from "../readers/record-jobs.ts";
import { WholeFile } from "../files/whole-file.ts";
import type { WorkFolder } from "../files/work-folder.ts";
import type { Threads } from "../threads.ts";
import type { TokenizeJobResult } from "./tokenize-job.ts";

/** The tokens of a file, which the work folder keeps under `name`. */
export interface TokenizedFile {
  name: string;
  documents: number;
  tokens: number;
  problems: ProblemReport;
}

/**
 * Turns a file into tokens in the work folder, unless an earlier run has.
 *
 * @param onProgress called with the number of documents that were tokenized, and of bytes that were
 *   read
 * @param onMessage called with a line of text if what an earlier run made is damaged
 */
export async function tokenizeFile(
  file: string,
  name: string,
  threads: Threads<RecordJob, TokenizeJobResult>,
  work: WorkFolder,
  strict: boolean,
  onProgress: (documents: number, bytes: number) => void,
  onMessage: (text: string) => void,
): Promise<TokenizedFile> {
  const done = await work.finished<TokenizedFile>(name, onMessage);
  if (done !== undefined) return done;
  const result: TokenizedFile = { name, documents: 0, tokens: 0, problems: noProblems() };
  const heed = (problem: Problem) => {
    if (strict) throw new UserError(describeProblem(problem));
    addProblem(result.problems, problem);
  };
  await using tokensFile = await WholeFile.create(work.file(`${name}.tokens`));
  await using lengthsFile = await WholeFile.create(work.file(`${name}.lengths`));
  let bytesRead = 0;
  const records = recordJobs(file, heed, (bytes) => bytesRead += bytes);
  for await (const { tokens, lengths, problems } of threads.map(records)) {
    problems.forEach(heed);
    await tokensFile.append(new Uint8Array(tokens.buffer));
    await lengthsFile.append(new Uint8Array(lengths.buffer));
    result.documents += lengths.length;
    result.tokens += tokens.length;
    onProgress(result.documents, bytesRead);
  }
  const files = { [`${name}.tokens`]: tokensFile, [`${name}.lengths`]: lengthsFile };
  await work.finish(name, files, result);
  return result;
}
