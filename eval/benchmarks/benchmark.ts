/** What every benchmark here is: four-option questions, in subjects, in categories. */

export const LETTERS = ["A", "B", "C", "D"] as const;
export type Letter = typeof LETTERS[number];

export interface Question {
  /** Handle of the subject, such as `computer_network`. */
  subject: string;
  /** The row's number as the benchmark counts it, from 0. */
  id: string;
  text: string;
  options: Record<Letter, string>;
  /** Absent where the authors keep the answers to themselves (C-Eval's test split). */
  answer?: Letter;
  /** Worked solution; C-Eval's dev split only. */
  explanation?: string;
}

export interface Subject {
  handle: string;
  /** What prompts call it: Chinese for C-Eval and CMMLU, English for MMLU. */
  name: string;
}

/** One way of sorting subjects into categories; a subject may be in several or in none. */
export interface CategoryMap {
  name: string;
  /** Category to the handles of its subjects, in the order tables print them. */
  categories: Record<string, string[]>;
}

export type Split = "dev" | "val" | "test";

export interface Benchmark {
  key: string;
  title: string;
  subjects: Subject[];
  categoryMaps: CategoryMap[];
  /** The split its published scores are measured on. */
  defaultSplit: Split;
  /** Where its authors publish it, and how many questions that split then has. */
  published: { url: string; questions: number };
  /** How its authors average: over subjects (`macro`) or over questions (`micro`). */
  average: "macro" | "micro";
  /** Where a subject's questions are, inside the folder or archive as downloaded. */
  file(split: Split, subject: string): string;
  /**
   * The columns of a file in order, by our names. With a header, a file may have them in any order
   * and leave out those after `D`.
   */
  columns: readonly QuestionColumn[];
  header: boolean;
  /** Splits whose answers may be missing. */
  unanswered: readonly Split[];
}

export type QuestionColumn = "id" | "question" | Letter | "answer" | "explanation";

/** Whether a text is one of the four letters. */
export function isLetter(text: string | undefined): text is Letter {
  return (LETTERS as readonly (string | undefined)[]).includes(text);
}
