import { UserError } from "../../kernels/runtime/user-error.ts";
import { isRecord } from "../files/is-record.ts";
import { readJson } from "../files/json-file.ts";
import type { CleanReport } from "./clean-report.ts";

/**
 * Reads a report from its JSON file.
 *
 * @throws UserError if there is none, or if a part of it is missing
 */
export async function readCleanReport(path: string): Promise<CleanReport> {
  const report = await readJson(path);
  if (isReport(report)) return report as unknown as CleanReport;
  throw new UserError(
    `${path} is not a report of cleaning; expected a FILE.report.json that clean or dedup wrote`,
  );
}

function isReport(value: unknown): boolean {
  return isRecord(value) && isComposition(value.read) && isComposition(value.kept) &&
    isRecord(value.problems) &&
    areNumbers(value.leftOut, value.seconds, value.problems.passedOver, value.problems.kept) &&
    isList(value.problems.first, isProblem) && isList(value.steps, isStep) &&
    isList(value.listed, isListed) && isList(value.warnings, isText);
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
