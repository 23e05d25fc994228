import { isPublished, publishedBenchmark } from "./benchmarks/benchmarks.ts";
import type { Accuracy, GroupScore, Results, Scores } from "../model/host/evaluation-results.ts";
import { subjectAccuracy } from "./scores.ts";
import type { Table } from "../data/page/table.ts";

/** A table of the averages, overall and by category. */
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

/** A table of every subject's accuracy. */
export function subjectTable(results: Results): Table {
  return {
    title: `${results.title} by subject`,
    columns: ["", "questions", "% right"],
    rows: (results.scores?.subjects ?? []).map((subject) => [
      subject.subject,
      String(subject.questions),
      accuracyText(subjectAccuracy(subject)),
    ]),
    notes: [],
  };
}

/** The title of results: benchmark, split, protocol and model. */
export function heading(results: Results): string {
  const { title, split, protocol, shots, chainOfThought, model } = results;
  return `${title} ${split}, ${protocol}, ${shots} shots${
    chainOfThought ? ", step by step" : ""
  }: ${model}`;
}

/** How fast the questions were answered by the last run that asked any, if it is known. */
export function speedText({ speed, ranks }: Results): string | undefined {
  if (!speed) return undefined;
  const tokens = Math.round(speed.tokensPerSecond).toLocaleString("en");
  return `Answered ${speed.questionsPerSecond.toFixed(1)} questions a second, reading ` +
    `${tokens} tokens a second${ranks === undefined ? "" : `, on ${ranks} GPUs`}.`;
}

/**
 * The average that the benchmark's authors report, in percent; with split and number of questions
 * where these are not all that they ask. Empty where the answers are not published.
 */
export function headline(results: Results): string {
  const { split, questions, scores, average } = results;
  if (!scores) return "";
  const text = accuracyText(scores.overall[average]);
  return isWhole(results) ? text : `${text} (${questions} of ${split})`;
}

function isWhole({ benchmark, split, questions, subjects, limit }: Results): boolean {
  if (!isPublished(benchmark)) return subjects === undefined && limit === undefined;
  const { defaultSplit, published } = publishedBenchmark(benchmark);
  return split === defaultSplit && questions === published.questions;
}

/** An accuracy and its standard error in percent, such as `41.90 ± 1.35`. */
export function accuracyText({ accuracy, standardError }: Accuracy): string {
  const error = standardError === undefined ? "" : ` ± ${(100 * standardError).toFixed(2)}`;
  return (100 * accuracy).toFixed(2) + error;
}

function categoryRows({ overall, maps }: Scores): string[][] {
  const row = (name: string, group: GroupScore) => [
    name,
    String(group.subjects),
    String(group.questions),
    accuracyText(group.macro),
    accuracyText(group.micro),
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
