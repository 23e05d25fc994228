import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { UserError } from "../kernels/runtime/user-error.ts";
import { exists } from "../data/files/exists.ts";
import { isRecord } from "../data/files/is-record.ts";
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
  /** Number of GPUs that answered in that run, where there were several. */
  ranks?: number;
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
  const isSound = texts.every(isText) && areTexts(problems) && areResults(results) &&
    (began === undefined || !Number.isNaN(Date.parse(String(began)))) &&
    (commit === undefined || typeof commit === "string");
  if (!isSound) {
    throw new UserError(`${file}: not the results of an evaluation`);
  }
  return results as unknown as Results;
}

/** Whether what tables and pages show of results is there. */
function areResults({ scores, speed, subjects, limit, average, ...rest }: Record<string, unknown>) {
  const { shots, seed, questions, withoutLetter, fewerShots, cut, chainOfThought } = rest;
  return [shots, seed, questions, withoutLetter, fewerShots, cut].every(isNumber) &&
    typeof chainOfThought === "boolean" && (average === "macro" || average === "micro") &&
    (subjects === undefined || areTexts(subjects)) && (limit === undefined || isNumber(limit)) &&
    (rest.ranks === undefined || isNumber(rest.ranks)) &&
    (speed === undefined ||
      isRecord(speed) && isNumber(speed.questionsPerSecond) && isNumber(speed.tokensPerSecond)) &&
    (scores === undefined || areScores(scores));
}

function areScores(scores: unknown): boolean {
  if (!isRecord(scores)) return false;
  const { overall, maps, subjects } = scores;
  const isMap = (map: unknown) =>
    isRecord(map) && isText(map.name) && isListOf(map.categories, isGroup);
  const isSubject = (score: unknown) =>
    isRecord(score) && isText(score.subject) && isNumber(score.questions) &&
    isNumber(score.correct);
  return isGroup(overall) && isListOf(maps, isMap) && (maps as unknown[]).length > 0 &&
    isListOf(subjects, isSubject);
}

function isGroup(group: unknown): boolean {
  const isAccuracy = (value: unknown) =>
    isRecord(value) && isNumber(value.accuracy) &&
    (value.standardError === undefined || isNumber(value.standardError));
  return isRecord(group) && isText(group.name) && isNumber(group.subjects) &&
    isNumber(group.questions) && isAccuracy(group.macro) && isAccuracy(group.micro);
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isItem(item));
}

function areTexts(value: unknown): boolean {
  return isListOf(value, isText);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isNumber(value: unknown): boolean {
  return Number.isFinite(value);
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
