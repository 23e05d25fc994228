import { isRecord } from "../files/is-record.ts";
import type { ProblemReport } from "../readers/problems.ts";
import type { CleanReport } from "./clean-report.ts";

/** Whether a value from a JSON file has all parts of a report. */
export function isCleanReport(value: unknown): value is CleanReport {
  return isRecord(value) && isComposition(value.read) && isComposition(value.kept) &&
    areNumbers(value.leftOut, value.seconds) && isProblemReport(value.problems) &&
    isList(value.steps, isStep) && isList(value.listed, isListed) &&
    [value.inputs, value.ignoredKeys, value.warnings].every((texts) => isList(texts, isText));
}

/** Whether a value from a JSON file says what was wrong with records and files. */
export function isProblemReport(value: unknown): value is ProblemReport {
  return isRecord(value) && areNumbers(value.passedOver, value.kept) &&
    isList(value.first, isProblem);
}

function isComposition(value: unknown): boolean {
  return isRecord(value) && isTally(value) && isList(value.lengths, areNumbers) &&
    areTallies(value.sources) && areTallies(value.languages);
}

function areTallies(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every(isTally);
}

function isTally(value: unknown): boolean {
  return isRecord(value) && areNumbers(value.documents, value.characters);
}

function isStep(value: unknown): boolean {
  return isRecord(value) && isText(value.name) && isTextOrNone(value.missing) &&
    areNumbers(value.reached, value.changed, value.dropped, value.passing);
}

function isProblem(value: unknown): boolean {
  return isRecord(value) && isText(value.file) && isTextOrNone(value.place) &&
    isText(value.reason);
}

function isListed(value: unknown): boolean {
  return isRecord(value) && [value.file, value.place, value.reason].every(isText);
}

function isList(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isItem(item));
}

function areNumbers(...values: unknown[]): boolean {
  return values.every((value) => typeof value === "number");
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || isText(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}
