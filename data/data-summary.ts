import type { CleanReport } from "./cleaning/clean-report.ts";
import type { PrepareReport } from "./prepare.ts";
import { mixtureTable } from "./tokenizing/mixture.ts";
import { DEFAULT_READING } from "./readers/documents.ts";
import {
  addProblem,
  firstProblems,
  noProblems,
  type Problem,
  type ProblemReport,
} from "./readers/problems.ts";
import { DamagedFile } from "./readers/files/bytes.ts";
import { readDocuments } from "./readers/read-file.ts";
import { MANIFEST, readManifest, verifyShards } from "./shards/manifest.ts";
import { Shard } from "./shards/shard-file.ts";

/** Such as `1 shard` or `2 shards`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A report of a cleaning, for a terminal. */
export function cleanSummary(
  { read, kept, steps, problems, warnings, seconds }: CleanReport,
): string {
  const width = Math.max(...steps.map(({ name }) => name.length), 8);
  const rows = steps.map(({ name, missing, reached, changed, dropped }) => {
    const cells = missing === undefined
      ? [reached, changed, dropped].map((number) => String(number).padStart(10)).join("")
      : "  left out";
    return name.padEnd(width) + cells;
  });
  const heading = "operator".padEnd(width) +
    ["reached", "changed", "dropped"].map((name) => name.padStart(10)).join("");
  return [
    heading,
    ...rows,
    "",
    `${kept.documents} of ${countOf(read.documents, "document")} stay, ${kept.characters} of ` +
    `${countOf(read.characters, "character")}, ${seconds.toFixed(1)} s`,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...problems.first.length > 0 ? [firstProblems(problems)] : [],
  ].join("\n");
}

/** A report of preparing, for a terminal. */
export function prepareSummary({ cleaned, tokenized }: PrepareReport): string {
  const { manifest, problems, leftOver } = tokenized;
  return [
    ...Object.entries(cleaned).map(([source, report]) => `${source}\n${cleanSummary(report)}\n`),
    mixtureTable(manifest.sources),
    ...problemSummary(problems),
    ...Object.entries(leftOver).filter(([, tokens]) => tokens > 0)
      .map(([source, tokens]) =>
        `${countOf(tokens, "token")} of ${source} left over by the weights`
      ),
  ].join("\n");
}

/** What was wrong with records and files, as lines; none if nothing was wrong. */
export function problemSummary(problems: ProblemReport): string[] {
  const { passedOver, kept, first } = problems;
  if (first.length === 0) return [];
  return [
    `passed over, records or files: ${passedOver}; odd but kept: ${kept}`,
    firstProblems(problems),
  ];
}

/** More sources are not listed: each document may have its own, such as its address. */
const SOURCES_SHOWN = 20;

/** A file of documents that was looked at. */
export interface InspectedFile {
  /** How many documents could be read. */
  readonly documents: number;
  /** What the file holds, its first documents, and what was wrong, for a terminal. */
  readonly summary: string;
}

/**
 * Reads a file of documents as far as it can be read.
 *
 * @throws {UserError} for a file that no reader takes; a damaged one is told of in the summary
 */
export async function inspectFile(path: string): Promise<InspectedFile> {
  const sources = new Map<string, number>();
  const problems = noProblems();
  const first: string[] = [];
  const heed = (problem: Problem) => addProblem(problems, problem);
  try {
    for await (const { text, source, place } of readDocuments(path, DEFAULT_READING, heed)) {
      sources.set(source, (sources.get(source) ?? 0) + 1);
      if (first.length < 3) first.push(`${place}: ${JSON.stringify(text.slice(0, 200))}`);
    }
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    heed({ file: path, reason: error.message, kept: false });
  }
  const largest = [...sources].toSorted(([, a], [, b]) => b - a);
  const documents = largest.reduce((sum, [, count]) => sum + count, 0);
  const lines = [
    path,
    ...documents === 0 ? [countOf(0, "document")] : [],
    ...largest.slice(0, SOURCES_SHOWN).map(([source, documents]) =>
      `${countOf(documents, "document")} of ${source}`
    ),
    ...largest.length > SOURCES_SHOWN ? [`… ${largest.length} sources in all`] : [],
    ...first,
    ...problemSummary(problems),
  ];
  return { documents, summary: lines.join("\n") };
}

/** What a folder of shards holds, by its manifest, or without one by the headers of the shards. */
export async function inspectShards(dir: string): Promise<string> {
  const names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  if (!names.includes(MANIFEST)) {
    const shards = names.filter((name) => name.endsWith(".bin")).toSorted();
    return [dir, ...shards.map((name) => describeShard(`${dir}/${name}`))].join("\n");
  }
  const manifest = await readManifest(dir);
  await verifyShards(dir, manifest);
  const { format, tokenizer, blockLength, sources, shards } = manifest;
  return [
    `${dir}: ${
      countOf(shards.length, "shard")
    } (${format}), whole and unchanged; tokenizer ${tokenizer}, ` +
    `blocks of ${blockLength} tokens`,
    mixtureTable(sources),
  ].join("\n");
}

function describeShard(path: string): string {
  using shard = Shard.open(path);
  return `${path}: ${countOf(shard.length, "token")} (${shard.format}), the first ` +
    shard.read(0, Math.min(8, shard.length)).join(" ");
}
