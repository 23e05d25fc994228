import { type CsvRow, parseCsv } from "../../data/text/csv.ts";
import { shown } from "../../data/text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Split } from "../../model/host/evaluation-results.ts";
import { type Benchmark, isLetter, LETTERS, type Question } from "./benchmark.ts";
import { type BenchmarkFiles, findPath } from "./benchmark-files.ts";

/** Called with what is wrong with a subject, file or row: it throws it to stop, or notes it. */
export type OnProblem = (problem: UserError) => void;

/** Stops at the first problem. */
export const stopAtProblem: OnProblem = (problem) => {
  throw problem;
};

/**
 * Reads the questions of a split: the subjects in the benchmark's order, the rows in the file's.
 *
 * Cells are text exactly as written, line breaks (CRLF too) and outer spaces included: the
 * authors' scripts get the same from pandas, and tokens depend on it.
 *
 * @param subjects handles of the subjects to read
 * @param onProblem called for every missing subject, unreadable file and unusable row; they are
 *   left out if it returns
 * @returns the questions of every subject by its handle
 * @throws {UserError} when the folder holds none of the split's files
 */
export async function readQuestions(
  benchmark: Benchmark,
  files: BenchmarkFiles,
  split: Split,
  subjects: string[],
  onProblem: OnProblem = stopAtProblem,
): Promise<Map<string, Question[]>> {
  const pathOf = (subject: string) => findPath(files, benchmark.file(split, subject));
  if (!benchmark.subjects.some(({ handle }) => pathOf(handle))) {
    throw wrongFolder(benchmark, files, split);
  }

  const questions = new Map<string, Question[]>();
  for (const subject of subjects) {
    const path = pathOf(subject);
    if (path === undefined) {
      onProblem(
        new UserError(
          `${files.where}: subject ${subject} is missing: expected ${
            benchmark.file(split, subject)
          }; download the benchmark again, or leave the subject out with --subjects`,
        ),
      );
      continue;
    }
    const where = `${files.where}/${path}`;
    try {
      const text = await files.read(path);
      questions.set(subject, parseQuestions(benchmark, split, subject, text, where, onProblem));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      onProblem(error);
    }
  }
  return questions;
}

/** The questions of one file's text. */
function parseQuestions(
  benchmark: Benchmark,
  split: Split,
  subject: string,
  text: string,
  where: string,
  onProblem: OnProblem,
): Question[] {
  const rows = parseCsv(text, where);
  const columns = benchmark.header
    ? namedColumns(benchmark, rows.shift(), where)
    : benchmark.columns;
  for (const problem of unreadColumns(benchmark, columns, rows, where)) onProblem(problem);
  const questions: Question[] = [];
  const ids = new Set<string>();
  for (const [index, { cells: row, line }] of rows.entries()) {
    const at = `${where}: row ${index + 1} (ends on line ${line})`;
    if (row.length !== columns.length) {
      onProblem(
        new UserError(
          `${at}: ${row.length} columns, expected ${columns.length}: ${columns.join(", ")}`,
        ),
      );
      continue;
    }
    const cells = Object.fromEntries(columns.map((column, i) => [column, row[i]]));
    if (!isLetter(cells.answer) && !(benchmark.unanswered.includes(split) && !cells.answer)) {
      const found = cells.answer ? `the answer is ${shown(cells.answer)}` : "no answer";
      onProblem(new UserError(`${at}: ${found}, expected one of ${LETTERS.join(", ")}`));
      continue;
    }
    const id = cells.id ?? String(index);
    if (ids.has(id)) {
      onProblem(new UserError(`${at}: another row has id ${id} too`));
      continue;
    }
    ids.add(id);
    questions.push({
      subject,
      id,
      text: cells.question,
      options: { A: cells.A, B: cells.B, C: cells.C, D: cells.D },
      ...(isLetter(cells.answer) && { answer: cells.answer }),
      ...(cells.explanation !== undefined && { explanation: cells.explanation }),
    });
  }
  return questions;
}

/** Characters of a wrong header that a message shows. */
const MOST_SHOWN = 80;

/** Our names of a file's columns, by its header; in CMMLU, the name of the first is empty. */
function namedColumns(benchmark: Benchmark, header: CsvRow | undefined, where: string): string[] {
  const known = new Map(benchmark.columns.map((column) => [column.toLowerCase(), column]));
  const names = (header?.cells ?? []).map((name, index) => {
    const lower = name.trim().toLowerCase();
    return lower === "" && index === 0 ? "id" : known.get(lower) ?? name;
  });
  const missing = ["question", ...LETTERS].filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new UserError(
      `${where}: line 1 is not the header of ${benchmark.title}: no column ${missing.join(", ")} ` +
        `(found: ${header?.cells.join(", ").slice(0, MOST_SHOWN) ?? "nothing"})`,
    );
  }
  const twice = benchmark.columns.find((column) =>
    names.indexOf(column) < names.lastIndexOf(column)
  );
  if (twice) throw new UserError(`${where}: line 1 has two columns ${twice}; leave one in`);
  return names;
}

/** A question is not asked without a word in another way than its table has it, such as without E. */
function unreadColumns(
  benchmark: Benchmark,
  columns: readonly string[],
  rows: readonly CsvRow[],
  where: string,
): UserError[] {
  const known: readonly string[] = benchmark.columns;
  const unread = columns.filter((column, i) =>
    !known.includes(column) && rows.some(({ cells }) => (cells[i] ?? "") !== "")
  );
  return unread.map((column) =>
    new UserError(
      `${where}: line 1: the column ${shown(column)} is not read, which are ` +
        `${known.join(", ")}; take it out, or leave it out with --keep-going`,
    )
  );
}

function wrongFolder(benchmark: Benchmark, files: BenchmarkFiles, split: Split): UserError {
  const seen = files.paths.slice(0, 3).join(", ") || "no .csv file";
  return new UserError(
    `${files.where}: not ${benchmark.title}'s folder or archive: expected ` +
      `${benchmark.file(split, benchmark.subjects[0].handle)} and its like, found ${seen}`,
  );
}
