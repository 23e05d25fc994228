/** Something wrong with a record, or with a whole file. */
export interface Problem {
  /** The path of the file. */
  file: string;
  /** The place of the record, such as `line 12`; absent for a whole file. */
  place?: string;
  /** What is wrong, in words. */
  reason: string;
  /** Whether the document was kept nevertheless. */
  kept: boolean;
}

/** The problems of many records and files; JSON. */
export interface ProblemReport {
  /** Number of records and files that were passed over. */
  passedOver: number;
  /** Number of documents that are odd but were kept. */
  kept: number;
  /** The first problems, those of whole files before those of records. */
  first: Problem[];
}

/** Problems that are kept in full: there may be as many as records. */
const SPELLED_OUT = 100;

export function noProblems(): ProblemReport {
  return { passedOver: 0, kept: 0, first: [] };
}

export function addProblem(problems: ProblemReport, problem: Problem): void {
  if (problem.kept) problems.kept++;
  else problems.passedOver++;
  const { first } = problems;
  if (problem.place === undefined) first.unshift(problem);
  else if (first.length < SPELLED_OUT) first.push(problem);
}

/** Adds the problems of a part to those of all. */
export function addProblems(sum: ProblemReport, part: ProblemReport): void {
  sum.passedOver += part.passedOver;
  sum.kept += part.kept;
  sum.first = [...sum.first, ...part.first]
    .toSorted((a, b) => Number(a.place !== undefined) - Number(b.place !== undefined))
    .slice(0, SPELLED_OUT);
}

/** A problem as the message of an error. */
export function describeProblem({ file, place, reason }: Problem): string {
  return place === undefined ? reason : `${file}, ${place}: ${reason}`;
}

/** The first few problems, a line each. */
export function firstProblems({ first }: ProblemReport): string {
  return first.slice(0, 5).map((problem) => `  ${describeProblem(problem)}`).join("\n");
}
