import { languageOf, LANGUAGES } from "./language.ts";
import type { Filter } from "../operators/operator.ts";
import { joined } from "../files/joined.ts";
import { codePointLength } from "../operators/unicode.ts";
import type { ReadDocument } from "../readers/documents.ts";
import type { PreparedStep } from "../recipe.ts";

/** Counts what a step of a recipe did to the documents that came to it. */
export interface StepCounts {
  /** The operator's name. */
  name: string;
  /** Why the operator was left out, if it was. */
  missing?: string;
  /** Number of documents that came to it. */
  reached: number;
  /** Number of documents that it changed. */
  changed: number;
  /** Number of documents that it dropped. */
  dropped: number;
  /** Number of all documents that it would keep on its own; 0 unless all are measured. */
  passing: number;
  /** Number of documents that are too short for a fingerprint. */
  empty: number;
}

/** A document that a step changed or dropped. */
export interface Trace {
  /** The operator's name. */
  operator: string;
  /** The file that the document is from. */
  file: string;
  /** Its place in the file, such as `line 12`. */
  place: string;
  /** The text that came to the operator. */
  before: string;
  /** The text that a mapper made of it. */
  after?: string;
  /** Why a filter dropped it. */
  reason?: string;
}

/** A dropped document that the report names: it holds a question of a benchmark. */
export interface Listed {
  /** The operator's name. */
  operator: string;
  /** The file that the document is from. */
  file: string;
  /** Its place in the file, such as `line 12`. */
  place: string;
  /** Why it was dropped. */
  reason: string;
}

/** What a pass over documents records besides the documents that stay. */
export interface CleaningOptions {
  /**
   * Whether every document passes every step, dropped ones too, so that all have all statistics.
   */
  measureAll: boolean;
  /** Number of documents to trace for each step. */
  traced: number;
  /** Whether documents are written with their file, place and source, for the next pass. */
  carry: boolean;
}

/** Words of a document's entry in {@linkcode Cleaned.entries}. */
export const ENTRY = { low: 0, high: 1, bytes: 2, characters: 3, origin: 4, length: 5 } as const;

/** The result of cleaning some documents; plain data, fit for a message between threads. */
export interface Cleaned {
  /** The documents that stay, as JSON lines. */
  lines: Uint8Array<ArrayBuffer>;
  /**
   * An entry for each document that stays, [documents, 5]: the fingerprint's low and high word, the
   * bytes of its line, its code points, and its source and language in one number.
   */
  entries: Uint32Array<ArrayBuffer>;
  /** The sources that the entries number. */
  sources: string[];
  /** For each document that was read, [documents, 2]: its code points, and its origin as above. */
  arrivals: Uint32Array<ArrayBuffer>;
  /** The statistics of all documents as JSON lines; empty unless all are measured. */
  statistics: Uint8Array<ArrayBuffer>;
  /** What each step did. */
  steps: StepCounts[];
  /** The first documents that each step changed or dropped. */
  traces: Trace[];
  /** Dropped documents that the report names. */
  listed: Listed[];
}

const encoder = new TextEncoder();

/** Cleans documents by the steps of a recipe, up to the fingerprint of a deduplicator. */
export function cleanDocuments(
  documents: ReadDocument[],
  steps: PreparedStep[],
  options: CleaningOptions,
): Cleaned {
  const log: StepLog = {
    counts: steps.map(({ name, missing }) => newCounts(name, missing)),
    traces: [],
    listed: [],
  };
  const sources: string[] = [];
  const lines: string[] = [];
  const statistics: string[] = [];
  const entries: number[] = [];
  const arrivals: number[] = [];
  for (const document of documents) {
    const source = indexIn(sources, document.source);
    arrivals.push(codePointLength(document.text), originOf(source, document.text));
    const { text, droppedBy, fingerprint, measures } = takeThrough(document, steps, options, log);
    if (options.measureAll) {
      const { file, place } = document;
      statistics.push(JSON.stringify({ ...measures, file, place, dropped_by: droppedBy }));
    }
    if (droppedBy !== undefined) continue;
    lines.push(options.carry ? JSON.stringify({ ...document, text }) : lineOf(document, text));
    const hash = [Number(fingerprint & 0xFFFFFFFFn), Number(fingerprint >> 32n)];
    entries.push(...hash, 0, codePointLength(text), originOf(source, text));
  }
  const parts = encoded(lines);
  parts.forEach(({ length }, i) => entries[i * ENTRY.length + ENTRY.bytes] = length);
  return {
    lines: joined(parts),
    entries: Uint32Array.from(entries),
    sources,
    arrivals: Uint32Array.from(arrivals),
    statistics: joined(encoded(statistics)),
    steps: log.counts,
    traces: log.traces,
    listed: log.listed,
  };
}

/** What the steps did to all documents. */
interface StepLog {
  counts: StepCounts[];
  traces: Trace[];
  listed: Listed[];
}

/** The result for one document. */
interface Outcome {
  text: string;
  /** The filter that dropped it, if one did. */
  droppedBy?: string;
  /** The deduplicator's fingerprint; 0 without a deduplicator. */
  fingerprint: bigint;
  measures: Record<string, number>;
}

function takeThrough(
  document: ReadDocument,
  steps: PreparedStep[],
  { measureAll, traced }: CleaningOptions,
  { counts, traces, listed }: StepLog,
): Outcome {
  const { file, place } = document;
  const outcome: Outcome = {
    text: document.text,
    fingerprint: 0n,
    measures: existingStatistics(document),
  };
  for (const [i, { name: operatorName, operator }] of steps.entries()) {
    if (operator === undefined) continue;
    const count = counts[i];
    const before = outcome.text;
    const isDropped = outcome.droppedBy !== undefined;
    if (!isDropped) count.reached++;

    if (operator.kind === "mapper") {
      outcome.text = operator.map(before);
      if (isDropped || outcome.text === before) continue;
      if (++count.changed <= traced) {
        traces.push({ operator: operatorName, file, place, before, after: outcome.text });
      }
    } else if (operator.kind === "filter") {
      outcome.measures[operator.statistic] ??= operator.measure(before);
      if (isKept(operator, outcome.measures)) {
        count.passing++;
        continue;
      }
      if (isDropped) continue;
      outcome.droppedBy = operatorName;
      const reason = operator.explain?.(before) ?? reasonOf(operator, outcome.measures);
      if (operator.explain) listed.push({ operator: operatorName, file, place, reason });
      if (++count.dropped <= traced) {
        traces.push({ operator: operatorName, file, place, before, reason });
      }
      if (!measureAll) break;
    } else {
      outcome.fingerprint = operator.fingerprint(before);
      if (outcome.fingerprint === 0n) count.empty++;
    }
  }
  return outcome;
}

export function newCounts(name: string, missing?: string): StepCounts {
  return { name, missing, reached: 0, changed: 0, dropped: 0, passing: 0, empty: 0 };
}

/** A document's source and language in one number. */
function originOf(source: number, text: string): number {
  return source * LANGUAGES.length + LANGUAGES.indexOf(languageOf(text));
}

/** The source and the language that {@linkcode originOf} has put into one number. */
export function sourceAndLanguage(origin: number, sources: string[]): [string, string] {
  return [sources[Math.floor(origin / LANGUAGES.length)], LANGUAGES[origin % LANGUAGES.length]];
}

/** Sources that are counted apart: there may be as many as documents, such as their addresses. */
export const MOST_SOURCES = 1000;

/** The name under which all further sources are counted. */
export const OTHER_SOURCES = "other sources";

/** The names under which sources are counted; new ones are added to `all` while there is room. */
export function addSources(sources: string[], all: string[]): string[] {
  return sources.map((source) => {
    const isTold = all.includes(source) || all.length < MOST_SOURCES;
    return all[indexIn(all, isTold ? source : OTHER_SOURCES)];
  });
}

/** Renumbers the sources of entries by their places in `all`, which has all of them. */
export function renumberSources(entries: Uint32Array, sources: string[], all: string[]): void {
  const numbers = sources.map((source) => indexIn(all, source));
  for (let i = ENTRY.origin; i < entries.length; i += ENTRY.length) {
    const language = entries[i] % LANGUAGES.length;
    entries[i] = numbers[(entries[i] - language) / LANGUAGES.length] * LANGUAGES.length + language;
  }
}

function indexIn(list: string[], item: string): number {
  const index = list.indexOf(item);
  return index >= 0 ? index : list.push(item) - 1;
}

/** Statistics that a record of Data-Juicer already has; they are not measured again. */
function existingStatistics({ record }: ReadDocument): Record<string, number> {
  const statistics = record?.__dj__stats__;
  return typeof statistics === "object" ? { ...statistics } as Record<string, number> : {};
}

function isKept({ statistic, min, max }: Filter, measures: Record<string, number>): boolean {
  return min <= measures[statistic] && measures[statistic] <= max;
}

function reasonOf({ statistic, min, max }: Filter, measures: Record<string, number>): string {
  return `${statistic} is ${measures[statistic]}, not from ${min} to ${max}`;
}

/** A document as the output has it: a plain record with its new text, or text and origin. */
function lineOf({ record, source, file, place }: ReadDocument, text: string): string {
  return JSON.stringify(record ? { ...record, text } : { text, source, file, place });
}

function encoded(lines: string[]): Uint8Array[] {
  return lines.map((line) => encoder.encode(line + "\n"));
}
