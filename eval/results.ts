/** What an evaluation leaves behind: `results.json`, a CSV a subject, and C-Eval's submission. */

import { join } from "node:path";
import { stringify } from "csv-stringify/sync";
import { UserError } from "../kernels/user-error.ts";
import { formatJson, readJson, writeText } from "../model/json-file.ts";
import { makeFolder } from "../data/make-folder.ts";
import type { Answer } from "./answer-log.ts";
import { type Benchmark, LETTERS, type Question, type Split } from "./benchmarks/benchmark.ts";
import { type Accuracy, type GroupScore, type Scores, subjectAccuracy } from "./scores.ts";
import type { Table } from "./table.ts";

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
  for (const [subject, rows] of Map.groupBy(answered, ({ question }) => question.subject)) {
    await writeText(join(folder, "subjects", `${subject}.csv`), subjectCsv(rows));
  }
  if (benchmark.unanswered.includes(results.split)) {
    await writeText(join(folder, "submission.json"), submission(answered));
  }
  await writeText(join(folder, RESULTS_FILE), formatJson(results));
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

/** The averages, overall and by category. */
export function categoryTable(results: Results): Table {
  const { scores, average } = results;
  const groups = scores ? [scores.overall, ...scores.maps.flatMap((map) => map.categories)] : [];
  const isPublished = results.benchmark !== "exam";
  const starred = (column: "macro" | "micro") =>
    column === average && isPublished ? `${column} *` : column;
  return {
    title: heading(results),
    columns: ["", "subjects", "questions", starred("macro"), starred("micro")],
    rows: scores ? categoryRows(scores) : [],
    notes: [
      ...(groups.length > 0
        ? [
          "% right ± standard error; macro: mean of the subjects, micro: all questions alike" +
          (isPublished ? `; * is what ${results.title}'s authors report` : ""),
        ]
        : [`${results.title}'s ${results.split} split has no public answers: see submission.json`]),
      ...remarks(results),
    ],
  };
}

/** Every subject's accuracy. */
export function subjectTable(results: Results): Table {
  return {
    title: `${results.title} by subject`,
    columns: ["", "questions", "% right"],
    rows: (results.scores?.subjects ?? []).map((subject) => [
      subject.subject,
      String(subject.questions),
      percent(subjectAccuracy(subject)),
    ]),
    notes: [],
  };
}

/** Names a result: what was asked, how, of whom. */
export function heading(results: Results): string {
  const { title, split, protocol, shots, chainOfThought, model } = results;
  return `${title} ${split}, ${protocol}, ${shots} shots${
    chainOfThought ? ", step by step" : ""
  }: ${model}`;
}

/** `41.90 ± 1.35`, in percent. */
export function percent({ accuracy, standardError }: Accuracy): string {
  const error = standardError === undefined ? "" : ` ± ${(100 * standardError).toFixed(2)}`;
  return (100 * accuracy).toFixed(2) + error;
}

function categoryRows({ overall, maps }: Scores): string[][] {
  const row = (name: string, group: GroupScore) => [
    name,
    String(group.subjects),
    String(group.questions),
    percent(group.macro),
    percent(group.micro),
  ];
  const names = maps.flatMap((map) => map.categories.map(({ name }) => name));
  const isFirst = (name: string, index: number) => names.indexOf(name) === index;
  const categories = maps.flatMap((map) => map.categories.map((group) => ({ map, group })));
  return [
    row("all", overall),
    ...categories.map(({ map, group }, index) =>
      row(isFirst(group.name, index) ? group.name : `${group.name} (${map.name})`, group)
    ),
  ];
}

function remarks({ withoutLetter, fewerShots, cut, problems }: Results): string[] {
  const questions = (count: number) => `${count} question${count === 1 ? "" : "s"}`;
  return [
    ...(withoutLetter > 0 ? [`${questions(withoutLetter)} answered without a letter: wrong`] : []),
    ...(fewerShots > 0 ? [`${questions(fewerShots)} had no room for all shots`] : []),
    ...(cut > 0 ? [`${questions(cut)} longer than the model takes: their beginning was cut`] : []),
    ...(problems.length > 0 ? [`left out: ${problems.join("; ")}`] : []),
  ];
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
