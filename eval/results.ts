import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { exists } from "../data/files/exists.ts";
import { formatJson } from "../data/text/json.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import { WholeFile } from "../data/files/whole-file.ts";
import { type Results, RESULTS_FILE } from "../model/host/evaluation-results.ts";
import type { Answer } from "./answer-log.ts";
import { type Benchmark, LETTERS, type Question } from "./benchmarks/benchmark.ts";

/** A question and its answer. */
export interface Answered {
  /** The question. */
  question: Question;
  /** The model's answer. */
  answer: Answer;
}

/**
 * Writes results into `folder`: `results.json`, a CSV for each subject, and the submission of a
 * split whose answers are not published.
 *
 * @param answered in the benchmark's order
 * @throws {UserError} when they cannot be written
 */
export async function writeResults(
  folder: string,
  results: Results,
  benchmark: Benchmark,
  answered: Answered[],
): Promise<void> {
  await makeFolder(join(folder, "subjects"));
  const bySubject = Map.groupBy(answered, ({ question }) => question.subject);
  for (const { handle } of benchmark.subjects) {
    const file = join(folder, "subjects", `${handle}.csv`);
    const rows = bySubject.get(handle);
    if (rows) await WholeFile.write(file, subjectCsv(rows));
    // An earlier run that asked more subjects wrote this file; it is no part of these results.
    else if (await exists(file)) await Deno.remove(file);
  }
  if (benchmark.unanswered.includes(results.split)) {
    await WholeFile.write(join(folder, "submission.json"), submission(answered));
  }
  await WholeFile.write(join(folder, RESULTS_FILE), formatJson(results));
}

function subjectCsv(answered: Answered[]): string {
  const columns = [
    ...["id", "question", ...LETTERS, "answer", "prediction", "right"],
    ...LETTERS.map((letter) => `P(${letter})`),
    ...["shots", "written"],
  ];
  const rows = answered.map(({ question, answer }) => [
    question.id,
    question.text,
    ...LETTERS.map((letter) => question.options[letter]),
    question.answer ?? "",
    answer.prediction ?? "",
    question.answer === undefined ? "" : Number(question.answer === answer.prediction),
    ...LETTERS.map((letter) => answer.probabilities?.[letter] ?? ""),
    answer.shots,
    answer.written ?? "",
  ]);
  return stringify([columns, ...rows]);
}

/** The layout of cevalbenchmark.com: subject, then question id, then letter. */
function submission(answered: Answered[]): string {
  const bySubject = Map.groupBy(answered, ({ question }) => question.subject);
  const entries = [...bySubject].map(([subject, some]) => [
    subject,
    Object.fromEntries(some.map(({ question, answer }) => [question.id, answer.prediction ?? ""])),
  ]);
  return formatJson(Object.fromEntries(entries));
}
