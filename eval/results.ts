import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { UserError } from "../kernels/runtime/user-error.ts";
import { exists } from "../data/files/exists.ts";
import { formatJson } from "../data/text/json.ts";
import { readJson } from "../data/files/json-file.ts";
import { makeFolder } from "../data/files/make-folder.ts";
import { WholeFile } from "../data/files/whole-file.ts";
import type { Answer } from "./answer-log.ts";
import { type Benchmark, LETTERS, type Question, type Split } from "./benchmarks/benchmark.ts";
import type { Scores } from "./scores.ts";

/** The results of an evaluation, as `results.json` holds them. */
export interface Results {
  /** Key of the benchmark, such as `ceval`. */
  benchmark: string;
  /** Its title, such as `C-Eval`. */
  title: string;
  /** The split that was asked. */
  split: Split;
  /** Name of the protocol. */
  protocol: string;
  /** The publication or script that the protocol reproduces. */
  source: string;
  /** Name of the model. */
  model: string;
  /** The folder or archive of the benchmark. */
  data: string;
  /** Handles of the subjects, where not all were asked. */
  subjects?: string[];
  /** The most questions, where not all were to be asked. */
  limit?: number;
  /** Number of examples before each question. */
  shots: number;
  /** Whether the model reasoned step by step. */
  chainOfThought: boolean;
  /** Seed of what was drawn at random. */
  seed: number;
  /** The precision in which the model computed, where it computes. */
  precision?: "f32" | "mixed";
  /** Number of questions. */
  questions: number;
  /** Number of answers in which no letter was found; they count as wrong. */
  withoutLetter: number;
  /** Number of questions whose prompt had no room for all examples. */
  fewerShots: number;
  /** Number of questions whose prompt was cut at its beginning. */
  cut: number;
  /** The average that the benchmark's authors report. */
  average: "macro" | "micro";
  /** Absent where the answers of the split are not published. */
  scores?: Scores;
  /** Missing subjects, broken files and bad rows that were left out. */
  problems: string[];
  /** Speed of the last run that asked a question. */
  speed?: { questionsPerSecond: number; tokensPerSecond: number };
  /** When that run began, as ISO 8601 has it. */
  began?: string;
  /** The commit of this program in that run. */
  commit?: string;
}

/** A question and its answer. */
export interface Answered {
  /** The question. */
  question: Question;
  /** The model's answer. */
  answer: Answer;
}

/** The name of the results' file. */
export const RESULTS_FILE = "results.json";

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

/** Reads the results of a folder, or of a file. @throws {UserError} when there are none */
export async function readResults(path: string): Promise<Results> {
  const file = path.endsWith(".json") ? path : join(path, RESULTS_FILE);
  const results = await readJson(file);
  const { benchmark, title, split, protocol, model, data, problems, began, commit } = results;
  const texts = [benchmark, title, split, protocol, model, data];
  const isSound = texts.every((text) => typeof text === "string") && Array.isArray(problems) &&
    (began === undefined || !Number.isNaN(Date.parse(String(began)))) &&
    (commit === undefined || typeof commit === "string");
  if (!isSound) {
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
