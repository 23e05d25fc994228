import { UserError } from "../kernels/runtime/user-error.ts";
import type { CleanReport } from "./cleaning/clean-report.ts";
import { isCleanReport, isProblemReport } from "./cleaning/is-clean-report.ts";
import { isRecord } from "./files/is-record.ts";
import { readJson } from "./files/json-file.ts";
import type { PrepareReport } from "./prepare.ts";

/**
 * Reads the report of a cleaning, or of preparing, from its JSON file.
 *
 * @throws UserError if there is none, or if a part of it is missing
 */
export async function readReport(path: string): Promise<CleanReport | PrepareReport> {
  const report = await readJson(path);
  if (isCleanReport(report) || isPrepareReport(report)) return report;
  throw new UserError(
    `${path} is not a report of cleaning or preparing; expected a FILE.report.json that clean or ` +
      `dedup wrote, or the report.json in a folder that prepare wrote`,
  );
}

function isPrepareReport(value: unknown): value is PrepareReport {
  return isRecord(value) && isRecord(value.cleaned) &&
    Object.values(value.cleaned).every(isCleanReport) && isRecord(value.tokenized) &&
    isManifest(value.tokenized.manifest) && isProblemReport(value.tokenized.problems) &&
    isRecord(value.tokenized.leftOver) &&
    [value.tokenized.seconds, ...Object.values(value.tokenized.leftOver)].every(isNumber);
}

/** Whether a manifest has what a report tells of it. */
function isManifest(value: unknown): boolean {
  return isRecord(value) && isNumber(value.blockLength) && typeof value.tokenizer === "string" &&
    Array.isArray(value.shards) &&
    value.shards.every((shard) => isRecord(shard) && isNumber(shard.tokens)) &&
    isRecord(value.sources) &&
    Object.values(value.sources).every((source) =>
      isRecord(source) && isNumber(source.documents) && isNumber(source.tokens)
    );
}

function isNumber(value: unknown): boolean {
  return typeof value === "number";
}
