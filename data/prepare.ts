import { parse } from "@std/yaml";
import { dirname, isAbsolute, join } from "node:path";
import { UserError } from "../kernels/user-error.ts";
import { messageOf } from "./error-message.ts";
import { clean } from "./clean.ts";
import type { CleanReport } from "./cleaning/clean-report.ts";
import { filesOf } from "./input-files.ts";
import type { OnProgress } from "./progress.ts";
import { readRecipe, type Recipe, recipePath } from "./recipe.ts";
import type { ShardFormat } from "./shards/shard-file.ts";
import { tokenize, type TokenizeReport } from "./tokenize.ts";
import { WholeFile } from "./whole-file.ts";
import { fileIdentity } from "./work-folder.ts";

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
  weight?: number;
}

export interface PrepareSettings {
  sources: PrepareSource[];
  /** A folder for the shards, their manifest, and the cleaned documents in `clean/`. */
  output: string;
  tokenizer?: string;
  format?: ShardFormat;
  sequence?: number;
  blocksPerShard?: number;
  workers?: number;
  strict?: boolean;
  onProgress?: OnProgress;
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
 * @throws UserError for settings, files or a disk that do not allow it; there is no manifest then
 */
export async function prepare(settings: PrepareSettings): Promise<PrepareReport> {
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
  await WholeFile.write(`${output}/report.json`, JSON.stringify(report, null, 2) + "\n");
  return report;
}

/** Cleans a source, unless it has been cleaned by the same recipe from the same files. */
async function cleanOnce(
  source: PrepareSource,
  path: string,
  { output, workers, strict, onProgress }: PrepareSettings,
): Promise<CleanReport> {
  const { recipe = { textKey: "text", steps: [], ignored: [] }, corpus, asPublished = false } =
    source;
  const identities = await Promise.all(source.files.map(fileIdentity));
  const task = JSON.stringify({ identities, recipe, corpus, asPublished, strict });
  const donePath = `${path}.done.json`;
  const done = await readDone(donePath);
  if (done?.task === task) return done.report;
  await Deno.mkdir(`${output}/clean`, { recursive: true });
  const report = await clean({
    recipe,
    inputs: source.files,
    output: path,
    workers,
    strict,
    reading: { corpus, asPublished },
    onProgress: (progress) =>
      onProgress?.({ ...progress, task: `${progress.task} ${source.name}` }),
  });
  await WholeFile.write(donePath, JSON.stringify({ task, report }));
  return report;
}

async function readDone(path: string): Promise<{ task: string; report: CleanReport } | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}

/** What a settings file says; its paths are relative to the file. */
type MixtureFile = Pick<PrepareSettings, "sequence" | "format" | "blocksPerShard" | "tokenizer">;

const SOURCE_KEYS = ["name", "files", "corpus", "asPublished", "recipe", "weight"];
const FILE_KEYS = ["sources", "sequence", "format", "blocksPerShard", "tokenizer"];

/**
 * Reads the settings of `prepare` from YAML: a list `sources`, each with `name`, `files` (files or
 * folders), and `corpus`, `recipe`, `weight` where they are wanted.
 *
 * @throws UserError naming the file and key that is wrong
 */
export async function readPrepareSettings(
  path: string,
): Promise<MixtureFile & { sources: PrepareSource[] }> {
  let content: Record<string, unknown>;
  try {
    content = parse(await Deno.readTextFile(path)) as Record<string, unknown>;
  } catch (error) {
    const reason = messageOf(error);
    throw new UserError(`the settings ${path} cannot be read: ${reason}`);
  }
  refuseUnknown(content, FILE_KEYS, path);
  if (!Array.isArray(content.sources) || content.sources.length === 0) {
    throw new UserError(`${path}: "sources" must be a list of sources with "name" and "files"`);
  }
  const here = (name: string) => isAbsolute(name) ? name : join(dirname(path), name);
  const sources = await Promise.all(content.sources.map(async (source, i) => {
    const place = `${path}, source ${i + 1}`;
    refuseUnknown(source, SOURCE_KEYS, place);
    const { name, files, recipe, weight } = source;
    if (typeof name !== "string" || !/^[\w.-]+$/.test(name)) {
      throw new UserError(`${place}: "name" must be a word that can name a file`);
    }
    if (weight !== undefined && !(typeof weight === "number" && weight > 0)) {
      throw new UserError(`${place}: "weight" must be a number above 0`);
    }
    return {
      ...source,
      files: await filesOf([files].flat().map((file) => here(String(file)))),
      recipe: recipe === undefined ? undefined : await readRecipe(
        recipe.includes("/") ? here(recipe) : recipePath(recipe),
      ),
    } as PrepareSource;
  }));
  return { ...content, sources } as MixtureFile & { sources: PrepareSource[] };
}

function refuseUnknown(value: unknown, known: string[], place: string): void {
  if (typeof value !== "object" || value === null) {
    throw new UserError(`${place}: expected keys and values (${known.join(", ")})`);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new UserError(`${place}: there is no key "${unknown}"; there are ${known.join(", ")}`);
  }
}
