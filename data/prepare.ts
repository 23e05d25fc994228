import { basename } from "node:path";
import { clean, CLEANING_EDITION, judgingFilesOf } from "./clean.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import type { CleanReport } from "./cleaning/clean-report.ts";
import { fileIdentity } from "./files/file-identity.ts";
import { fileSum } from "./files/checksum.ts";
import { exists } from "./files/exists.ts";
import { finishedResult, writeMark } from "./files/finished-mark.ts";
import { Lock } from "./files/lock.ts";
import { makeFolder } from "./files/make-folder.ts";
import { refuseForeign, refuseReplacing } from "./files/overwriting.ts";
import { prepareSteps, type Recipe } from "./recipe.ts";
import type { PrepareSettings, PrepareSource } from "./prepare-settings.ts";
import { tokenizeInto, type TokenizeReport } from "./tokenize.ts";
import { WholeFile } from "./files/whole-file.ts";

/** The result of preparing; JSON. */
export interface PrepareReport {
  /** The report of the cleaning of each source, by its name. */
  cleaned: Record<string, CleanReport>;
  /** The report of the tokens. */
  tokenized: TokenizeReport;
}

/**
 * Makes shards of published files: reads, cleans, mixes, tokenizes and packs them. After a kill,
 * the same call goes on where it was and ends with the same shards.
 *
 * @throws UserError for wrong settings, a file that cannot be read or written, other files under
 *   the names that it would use, or another process that writes the output; there is no new manifest then
 */
export async function prepare(settings: PrepareSettings): Promise<PrepareReport> {
  await using _ = await Lock.ofFolder(settings.output);
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
    const report = await cleanOnce(source, path, settings);
    if (source.weight !== undefined && report.kept.documents === 0) {
      throw new UserError(
        `the source "${source.name}" cannot make up its share of the mixture: ` +
          `${source.recipe?.path ?? "cleaning"} keeps none of its documents`,
      );
    }
    cleaned[source.name] = report;
    sources.push({ name: source.name, files: [path], weight: source.weight });
  }
  const { output, tokenizer, format, sequence, blocksPerShard, workers, strict } = settings;
  const tokenized = await tokenizeInto({
    ...{ sources, output, tokenizer, format, sequence, blocksPerShard, workers, strict },
    onProgress: settings.onProgress,
    onMessage: settings.onMessage,
  });
  const report = { cleaned, tokenized };
  await WholeFile.write(reportPath, JSON.stringify(report, null, 2) + "\n");
  return report;
}

/** What the mark beside a cleaned file says: the report is there once that file is whole. */
interface CleanedSource {
  task: string;
  report?: CleanReport;
}

/**
 * Cleans a source, unless it has been cleaned by the same recipe from the same files. The mark
 * beside the cleaned file is written before it, so that the file is known to be of this program.
 */
async function cleanOnce(
  source: PrepareSource,
  path: string,
  { output, workers, strict, onProgress, onMessage }: PrepareSettings,
): Promise<CleanReport> {
  const { recipe = NO_RECIPE, corpus, asPublished = false, perplexity } = source;
  prepareSteps(recipe.steps, {}, recipe.path); // before its arguments are looked at
  const files = [...source.files, ...judgingFilesOf({ recipe, perplexity })];
  const identities = await Promise.all(files.map(fileIdentity));
  const { path: _, ...meant } = recipe;
  const how = { recipe: meant, corpus, asPublished, perplexity, strict };
  const task = JSON.stringify({ edition: CLEANING_EDITION, identities, ...how });
  const donePath = `${path}.done.json`;
  const done = await finishedResult<CleanedSource>(donePath, onMessage ?? (() => {}));
  if (done?.task === task && done.report) return done.report;
  if (!await exists(donePath)) await refuseReplacing(path);
  await makeFolder(`${output}/clean`);
  await writeMark(donePath, { task }, {});
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
    onMessage,
  });
  await writeMark(donePath, { task, report }, { [basename(path)]: await fileSum(path) });
  return report;
}

const NO_RECIPE: Recipe = { textKey: "text", steps: [], ignored: [] };
