import { clean, CLEANING_EDITION, judgingFilesOf } from "./clean.ts";
import type { CleanReport } from "./cleaning/clean-report.ts";
import { fileIdentity } from "./files/file-identity.ts";
import { makeFolder } from "./files/make-folder.ts";
import { refuseForeign, refuseReplacing } from "./files/overwriting.ts";
import type { PerplexitySettings } from "./perplexity/fit-recipe.ts";
import type { Recipe } from "./recipe.ts";
import { tokenize, type TokenizeReport, type TokenizeSettings } from "./tokenize.ts";
import { WholeFile } from "./files/whole-file.ts";

/** One part of the mixture, from files as they were published. */
export interface PrepareSource {
  name: string;
  files: string[];
  /** The corpus of its files, if its records do not show it. */
  corpus?: string;
  /** As the authors' scripts made text of it, their slips included. */
  asPublished?: boolean;
  /** By what its documents are cleaned; if undefined, they came clean. */
  recipe?: Recipe;
  /** By what perplexity is measured; if undefined, perplexity filters are left out. */
  perplexity?: PerplexitySettings;
  weight?: number;
}

export { readPrepareSettings } from "./prepare-settings.ts";

/** Cleaned documents go to `clean/` in the folder of the shards. */
export interface PrepareSettings extends Omit<TokenizeSettings, "sources"> {
  sources: PrepareSource[];
}

export interface PrepareReport {
  /** What cleaning each source came to. */
  cleaned: Record<string, CleanReport>;
  tokenized: TokenizeReport;
}

/**
 * All that lies between published files and shards: reads, cleans, mixes, tokenizes and packs.
 * Killed, it goes on when started again, and ends with the same shards.
 *
 * @throws UserError for settings, files or a disk that do not allow it, or someone else's files by
 * the names that it would use; there is no new manifest then
 */
export async function prepare(settings: PrepareSettings): Promise<PrepareReport> {
  const reportPath = `${settings.output}/report.json`;
  await refuseForeign(reportPath, ["cleaned", "tokenized"]);
  const cleaned: Record<string, CleanReport> = {};
  const sources = [];
  for (const source of settings.sources) {
    if (!source.recipe && !source.corpus && !source.asPublished) {
      sources.push({ name: source.name, files: source.files, weight: source.weight });
      continue;
    }
    const path = `${settings.output}/clean/${source.name}.jsonl`;
    cleaned[source.name] = await cleanOnce(source, path, settings);
    sources.push({ name: source.name, files: [path], weight: source.weight });
  }
  const { output, tokenizer, format, sequence, blocksPerShard, workers, strict } = settings;
  const tokenized = await tokenize({
    ...{ sources, output, tokenizer, format, sequence, blocksPerShard, workers, strict },
    onProgress: settings.onProgress,
  });
  const report = { cleaned, tokenized };
  await WholeFile.write(reportPath, JSON.stringify(report, null, 2) + "\n");
  return report;
}

/**
 * Cleans a source, unless it has been cleaned by the same recipe from the same files. What is told
 * of it beside the cleaned file is there before that file, and has a report when it is whole.
 */
async function cleanOnce(
  source: PrepareSource,
  path: string,
  { output, workers, strict, onProgress }: PrepareSettings,
): Promise<CleanReport> {
  const { recipe = NO_RECIPE, corpus, asPublished = false, perplexity } = source;
  const files = [...source.files, ...judgingFilesOf({ recipe, perplexity })];
  const identities = await Promise.all(files.map(fileIdentity));
  const how = { recipe, corpus, asPublished, perplexity, strict };
  const task = JSON.stringify({ edition: CLEANING_EDITION, identities, ...how });
  const donePath = `${path}.done.json`;
  const done = await readDone(donePath);
  if (done?.task === task && done.report) return done.report;
  if (done === undefined) await refuseReplacing(path);
  await makeFolder(`${output}/clean`);
  await WholeFile.write(donePath, JSON.stringify({ task }));
  const report = await clean({
    recipe,
    inputs: source.files,
    output: path,
    workers,
    strict,
    reading: { corpus, asPublished },
    perplexity,
    onProgress: (progress) =>
      onProgress?.({ ...progress, task: `${progress.task} ${source.name}` }),
  });
  await WholeFile.write(donePath, JSON.stringify({ task, report }));
  return report;
}

const NO_RECIPE: Recipe = { textKey: "text", steps: [], ignored: [] };

async function readDone(
  path: string,
): Promise<{ task: string; report?: CleanReport } | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}
