import {
  type Cleaned,
  ENTRY,
  type Listed,
  MOST_SOURCES,
  newCounts,
  OTHER_SOURCES,
  sourceAndLanguage,
  type StepCounts,
} from "./clean-documents.ts";
import {
  addProblem,
  addProblems,
  noProblems,
  type Problem,
  type ProblemReport,
} from "../readers/problems.ts";
import type { PreparedStep } from "../recipe.ts";

/** A count of documents. */
export interface Tally {
  /** Number of documents. */
  documents: number;
  /** Their code points together. */
  characters: number;
}

/** Counts of a set of documents. */
export interface Composition extends Tally {
  /** Documents by source. */
  sources: Record<string, Tally>;
  /** Documents by language. */
  languages: Record<string, Tally>;
  /** Documents by length: entry i counts those of 2^i to 2^(i+1) - 1 code points. */
  lengths: number[];
}

/** The report of a cleaning; JSON. */
export interface CleanReport {
  /** The files that were read. */
  inputs: string[];
  /** Keys of the recipe that have no meaning here. */
  ignoredKeys: string[];
  /** The documents that were read. */
  read: Composition;
  /** The documents that stay. */
  kept: Composition;
  /** Number of records that the rules of their corpus leave out. */
  leftOut: number;
  /** Records and files that could not be read, or are odd but kept. */
  problems: ProblemReport;
  /** What each operator did, in their order. */
  steps: StepCounts[];
  /** Documents that hold questions of benchmarks, and are dropped. */
  listed: Listed[];
  /** What a person should know before they trust the result. */
  warnings: string[];
  /** How long it took. */
  seconds: number;
}

function emptyComposition(): Composition {
  return { documents: 0, characters: 0, sources: {}, languages: {}, lengths: [] };
}

export function emptyReport(steps: PreparedStep[]): CleanReport {
  return {
    inputs: [],
    ignoredKeys: [],
    read: emptyComposition(),
    kept: emptyComposition(),
    leftOut: 0,
    problems: noProblems(),
    steps: steps.map(({ name, missing }) => newCounts(name, missing)),
    listed: [],
    warnings: [],
    seconds: 0,
  };
}

/** Counts a document of that many code points. */
function addDocument(
  composition: Composition,
  characters: number,
  source: string,
  language: string,
): void {
  const { sources, languages, lengths } = composition;
  for (const tally of [composition, tallyOf(sources, source), tallyOf(languages, language)]) {
    tally.documents++;
    tally.characters += characters;
  }
  const bin = Math.floor(Math.log2(Math.max(characters, 1)));
  while (lengths.length <= bin) lengths.push(0);
  lengths[bin]++;
}

/** A source may be named like a property of every object, such as `constructor`. */
function tallyOf(tallies: Record<string, Tally>, name: string): Tally {
  if (!Object.hasOwn(tallies, name)) tallies[name] = { documents: 0, characters: 0 };
  return tallies[name];
}

/** Adds the result of one job, without the documents that it keeps: a deduplicator may follow. */
export function addJob(
  report: CleanReport,
  { arrivals, sources, steps, listed }: Cleaned,
  problems: Problem[],
  leftOut: number,
): void {
  for (let i = 0; i < arrivals.length; i += 2) {
    addDocument(report.read, arrivals[i], ...sourceAndLanguage(arrivals[i + 1], sources));
  }
  steps.forEach((counts, i) => addCounts(report.steps[i], counts));
  report.listed.push(...listed);
  report.leftOut += leftOut;
  for (const problem of problems) addProblem(report.problems, problem);
}

function addCounts(sum: StepCounts, counts: StepCounts): void {
  for (const key of ["reached", "changed", "dropped", "passing", "empty"] as const) {
    sum[key] += counts[key];
  }
}

/** Adds the report of one file to that of all; the steps are the same. */
export function addReport(sum: CleanReport, part: CleanReport): void {
  sum.inputs = sum.inputs.concat(part.inputs);
  addComposition(sum.read, part.read);
  addComposition(sum.kept, part.kept);
  sum.listed = sum.listed.concat(part.listed);
  sum.leftOut += part.leftOut;
  addProblems(sum.problems, part.problems);
  part.steps.forEach((counts, i) => addCounts(sum.steps[i], counts));
}

function addComposition(sum: Composition, part: Composition): void {
  addTally(sum, part);
  let room = MOST_SOURCES - Object.keys(sum.sources).length;
  for (const [source, tally] of Object.entries(part.sources)) {
    const isTold = Object.hasOwn(sum.sources, source) || room-- > 0;
    addTally(tallyOf(sum.sources, isTold ? source : OTHER_SOURCES), tally);
  }
  for (const [language, tally] of Object.entries(part.languages)) {
    addTally(tallyOf(sum.languages, language), tally);
  }
  part.lengths.forEach((count, bin) => sum.lengths[bin] = (sum.lengths[bin] ?? 0) + count);
}

function addTally(sum: Tally, part: Tally): void {
  sum.documents += part.documents;
  sum.characters += part.characters;
}

/** A step that affects a larger share of documents is worth a warning. */
const WORRYING = 0.2;

/** Warnings of operators that were left out, and of those that misjudge Chinese. */
export function warningsOf({ steps, problems }: CleanReport): string[] {
  const warnings = steps.flatMap((step) => {
    if (step.missing !== undefined) return [`${step.name} was left out: ${step.missing}`];
    if (step.empty > WORRYING * step.reached && step.empty > 1) {
      return [
        `${step.name}: ${step.empty} documents are too short for a fingerprint and count as one, or ` +
        `with keep_empty are all kept; for Chinese set tokenization to character`,
      ];
    }
    if (step.name === "words_num_filter" && step.dropped > WORRYING * step.reached) {
      return [
        `words_num_filter dropped ${step.dropped} of ${step.reached} documents: unless split_han is ` +
        `set, Chinese without spaces is one word`,
      ];
    }
    return [];
  });
  if (problems.passedOver > 0) {
    warnings.push(
      `passed over, records or files: ${problems.passedOver}; with --strict this is refused`,
    );
  }
  return warnings;
}

/** Counts a document that stays, under the same name of its source as when it was read. */
export function addKept(report: CleanReport, entry: Uint32Array, sources: string[]): void {
  const [source, language] = sourceAndLanguage(entry[ENTRY.origin], sources);
  const isTold = Object.hasOwn(report.read.sources, source);
  addDocument(
    report.kept,
    entry[ENTRY.characters],
    isTold ? source : OTHER_SOURCES,
    language,
  );
}
