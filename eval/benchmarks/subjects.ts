import type { Subject } from "./benchmark.ts";

/** The names of subjects in prompts, by category and handle. */
export type SubjectTable = Record<string, Record<string, string>>;

/** The subjects of all categories, in order. */
export function namedSubjects(table: SubjectTable): Subject[] {
  return Object.values(table).flatMap((category) =>
    Object.entries(category).map(([handle, name]) => ({ handle, name }))
  );
}

/** The handles of every category. */
export function handlesOf(table: SubjectTable): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(table).map(([category, subjects]) => [category, Object.keys(subjects)]),
  );
}
