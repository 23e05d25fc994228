import type { Split } from "../../model/host/evaluation-results.ts";

/** The letter of an option. */
export type Letter = "A" | "B" | "C" | "D";

/** The letters of the four options, in order. */
export const LETTERS: readonly Letter[] = ["A", "B", "C", "D"];

/** A question with four options. */
export interface Question {
  /** Handle of the subject, such as `computer_network`. */
  subject: string;
  /** The row's number as the benchmark counts it, from 0. */
  id: string;
  /** The question. */
  text: string;
  /** The text of every option. */
  options: Record<Letter, string>;
  /** The right letter; absent where it is not published (C-Eval's test split). */
  answer?: Letter;
  /** A worked solution; in C-Eval's dev split only. */
  explanation?: string;
}

/** A subject of a benchmark. */
export interface Subject {
  /** Its name in files and on command lines, such as `computer_network`. */
  handle: string;
  /** Its name in prompts: Chinese for C-Eval and CMMLU, English for MMLU. */
  name: string;
}

/** One way of sorting subjects into categories; a subject may be in several or in none. */
export interface CategoryMap {
  /** Its name in tables. */
  name: string;
  /** The handles of the subjects of every category, in the order of tables. */
  categories: Record<string, string[]>;
}

/** A benchmark: questions with four options in subjects, and the subjects in categories. */
export interface Benchmark {
  /** Its name on command lines, such as `ceval`. */
  key: string;
  /** Its name in tables, such as `C-Eval`. */
  title: string;
  /** Its subjects, in the order of its authors. */
  subjects: Subject[];
  /** The ways of sorting its subjects into categories. */
  categoryMaps: CategoryMap[];
  /** The split that published scores are of. */
  defaultSplit: Split;
  /** Where its authors publish it, and the number of questions of that split. */
  published: { url: string; questions: number };
  /** How its authors average: over subjects (`macro`) or over questions (`micro`). */
  average: "macro" | "micro";
  /** The path of a subject's questions in the folder or archive as downloaded. */
  file(split: Split, subject: string): string;
  /**
   * The columns of a file in order, by our names. With a header, a file may have them in any order
   * and leave out those after `D`.
   */
  columns: readonly QuestionColumn[];
  /** Whether the first line of a file names its columns. */
  header: boolean;
  /** Splits whose answers may be missing. */
  unanswered: readonly Split[];
}

/** A column of a file of questions. */
export type QuestionColumn = "id" | "question" | Letter | "answer" | "explanation";

/** Whether a text is one of the four letters. */
export function isLetter(text: string | undefined): text is Letter {
  return LETTERS.some((letter) => letter === text);
}
