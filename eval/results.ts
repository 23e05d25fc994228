/** What an evaluation leaves behind: `results.json`, a CSV a subject, and C-Eval's submission. */

import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { UserError } from "../kernels/runtime/user-error.ts";
import { exists } from "../data/files/exists.ts";
import { formatJson } from "../data/files/json.ts";
import { readJson } from "../data/files/json-file.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import { WholeFile } from "../data/files/whole-file.ts";
import type { Answer } from "./answer-log.ts";
import { type Benchmark, LETTERS, type Question, type Split } from "./benchmarks/benchmark.ts";
import type { Scores } from "./scores.ts";

/** `results.json`. */
export interface Results {
  benchmark: string;
  title: string;
  split: Split;
  protocol: string;
  /** What the protocol reproduces. */
  source: string;
  model: string;
  /** Folder or archive, subjects and number of questions where not all were asked. */
  data: string;
  subjects?: string[];
  limit?: number;
  shots: number;
  chainOfThought: boolean;
  seed: number;
  /** What the model's numbers were computed in, where it computes any. */
  precision?: "f32" | "mixed";
  questions: number;
  /** Answers in which no letter was found; they count as wrong. */
  withoutLetter: number;
  /** Questions whose prompt had no room for all shots, and whose beginning had to be cut off. */
  fewerShots: number;
  cut: number;
  /** Which of the two averages the benchmark's authors report. */
  average: "macro" | "micro";
  /** Absent where the split's answers are not published. */
  scores?: Scores;
  /** Missing subjects, broken files and bad rows that --keep-going left out. */
  problems: string[];
  /** Of the last run that asked anything. */
  speed?: { questionsPerSecond: number; tokensPerSecond: number };
}

export interface Answered {
  question: Question;
  answer: Answer;
}

export const RESULTS_FILE = "results.json";

/**
 * Writes everything into `folder`.
 *
 * @param answered in the benchmark's order
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
    // A run that asked more may have left it, and these results count without.
    else if (await exists(file)) await Deno.remove(file);
  }
  if (benchmark.unanswered.includes(results.split)) {
    await WholeFile.write(join(folder, "submission.json"), submission(answered));
  }
  await WholeFile.write(join(folder, RESULTS_FILE), formatJson(results));
}

/** Reads `results.json` from a folder, or the file itself. */
export async function readResults(path: string): Promise<Results> {
  const file = path.endsWith(".json") ? path : join(path, RESULTS_FILE);
  const results = await readJson(file);
  const { benchmark, title, split, protocol, model, data, problems } = results;
  const texts = [benchmark, title, split, protocol, model, data];
  if (!texts.every((text) => typeof text === "string") || !Array.isArray(problems)) {
    throw new UserError(`${file}: not the results of an evaluation`);
  }
  return results as unknown as Results;
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
  const bySubject: Record<string, Record<string, string>> = {};
  for (const { question, answer } of answered) {
    (bySubject[question.subject] ??= {})[question.id] = answer.prediction ?? "";
  }
  return formatJson(bySubject);
}
