import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { readJson } from "../../data/files/json-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** A part of a benchmark; dev has the examples that are put before questions. */
export type Split = "dev" | "val" | "test";

/** A subject's score. */
export interface SubjectScore {
  /** Handle of the subject. */
  subject: string;
  /** Number of questions. */
  questions: number;
  /** Number of right answers. */
  correct: number;
}

/** A share of right answers and its standard error, both from 0 to 1. */
export interface Accuracy {
  /** The share. */
  accuracy: number;
  /** Absent where a subject has a single question. */
  standardError?: number;
}

/** The score of a group of subjects. */
export interface GroupScore {
  /** Name of the group. */
  name: string;
  /** Number of subjects. */
  subjects: number;
  /** Number of questions. */
  questions: number;
  /** The mean of the subjects' accuracies. */
  macro: Accuracy;
  /** The accuracy over all questions. */
  micro: Accuracy;
}

/** All scores of an evaluation. */
export interface Scores {
  /** All subjects together. */
  overall: GroupScore;
  /** The benchmark's ways of sorting subjects into categories, with the score of every category. */
  maps: { name: string; categories: GroupScore[] }[];
  /** Every subject. */
  subjects: SubjectScore[];
}

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

/** The name of the results' file. */
export const RESULTS_FILE = "results.json";

/** The folder of a model's evaluations, one folder each, unless `--out` names another. */
export function evaluationsOf(model: string): string {
  return `runs/eval/${slug(model)}`;
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

/** A path as the name of one folder: `runs/sft/checkpoints/step-100` is `sft-step-100`. */
function slug(path: string): string {
  const name = path.replace(/^(\.?\/)*(runs\/)?/, "").replace("/checkpoints/", "/");
  return name.replace(/[^\p{L}\p{N}.]+/gu, "-").replace(/-$/, "");
}
