import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseCsv } from "../text/csv.ts";
import { readError } from "../files/file-errors.ts";
import { fileTextSync } from "../files/text-file.ts";

/**
 * The questions of benchmarks as they are published: C-Eval and CMMLU with a column named
 * `question`, MMLU without a header and the question first.
 *
 * @param folders searched for `.csv` files, however deep
 * @throws UserError if a folder cannot be read or has no question
 */
export function questionTexts(folders: string[]): string[] {
  return folders.flatMap((folder) => {
    const questions = csvFiles(folder).flatMap(questionsOf);
    if (questions.length > 0) return questions;
    throw new UserError(`${folder} has no .csv file with questions: give a benchmark's folder`);
  });
}

/** All `.csv` files of a folder, however deep. @throws UserError if it cannot be read */
export function csvFiles(folder: string): string[] {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(folder)];
  } catch (error) {
    throw readError(error, folder);
  }
  return entries.toSorted((a, b) => a.name < b.name ? -1 : 1).flatMap(({ name, isDirectory }) => {
    if (isDirectory) return csvFiles(`${folder}/${name}`);
    return name.endsWith(".csv") ? [`${folder}/${name}`] : [];
  });
}

function questionsOf(path: string): string[] {
  const rows = parseCsv(fileTextSync(path), path).map(({ cells }) => cells);
  const column = rows[0]?.findIndex((cell) => cell.toLowerCase() === "question") ?? -1;
  return column >= 0 ? rows.slice(1).map((row) => row[column] ?? "") : rows.map((row) => row[0]);
}

/** Length of the beginning of a question, by which places that may hold it are found. */
const PROBE = 10;

/**
 * Shorter questions are not looked for: many other texts have them. A Chinese character counts as
 * two Latin letters.
 */
const SHORTEST = 20;

/** Finds questions in texts, whatever the case, width, spaces and punctuation. */
export class QuestionFinder {
  /** Questions in their plain form, by the hash of their beginning. */
  readonly #byStart = new Map<number, string[]>();

  constructor(questions: string[]) {
    for (const question of new Set(questions.map(plain))) {
      if (question.length < PROBE || letters(question) < SHORTEST) continue;
      const start = hashOf(question, 0);
      this.#byStart.set(start, [...(this.#byStart.get(start) ?? []), question]);
    }
  }

  /** The questions that a text holds, in their plain form; each once. */
  find(text: string): string[] {
    const searched = plain(text);
    if (searched.length < PROBE) return [];
    const found = new Set<string>();
    let hash = hashOf(searched, 0);
    for (let at = 0;; at++) {
      for (const question of this.#byStart.get(hash) ?? []) {
        if (searched.startsWith(question, at)) found.add(question);
      }
      if (at + PROBE >= searched.length) return [...found];
      const left = Math.imul(searched.charCodeAt(at), OUTGOING);
      hash = Math.imul(hash - left, BASE) + searched.charCodeAt(at + PROBE) | 0;
    }
  }
}

/** Letters and digits alone. */
function plain(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
}

function letters(question: string): number {
  return question.length + (question.match(/\p{sc=Han}/gu)?.length ?? 0);
}

const BASE = 0x01000193;
const OUTGOING = Array.from({ length: PROBE - 1 }).reduce<number>((x) => Math.imul(x, BASE), 1);

/** A polynomial hash of the characters from `start` on, fit to be rolled. */
function hashOf(text: string, start: number): number {
  let hash = 0;
  for (let i = start; i < start + PROBE; i++) hash = Math.imul(hash, BASE) + text.charCodeAt(i) | 0;
  return hash;
}
