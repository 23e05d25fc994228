import { basename, dirname, join, relative, resolve } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isMissing, readError } from "../../data/files/file-errors.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { parseYaml } from "../../data/text/yaml.ts";
import { parseSamples, type Sample, SAMPLES_FILE } from "../../model/host/samples-file.ts";
import { type Facts, readRunFacts } from "../../model/host/run-facts.ts";
import { readMetrics, type StepMetrics } from "../../model/host/step-metrics.ts";
import { readResults, type Results, RESULTS_FILE } from "../../model/host/evaluation-results.ts";

/** A stage of training: a folder with `metrics.jsonl`. */
export interface Stage {
  /** Its folder's path below the folder of the report, such as `pretrain`. */
  name: string;
  /** The path of its folder. */
  folder: string;
  /** The command that trained it, by its settings; absent where there are none. */
  task?: Task;
  /** `settings.yaml`: section, key, value. */
  settings: Record<string, Record<string, unknown>>;
  /** `metrics.jsonl`, one record a step. */
  metrics: StepMetrics[];
  /** `facts.json`. */
  facts: Facts;
  /** Tokens it was trained on by source, or of fine-tuning by language (`examples.json`). */
  mixture: Record<string, number>;
  /** `samples.txt`: texts that the model wrote at the end. */
  samples: Sample[];
}

/** The command that trained a stage. */
export type Task = "pretrain" | "sft" | "dpo";

/** The results of an evaluation, and where they are. */
export interface ReportedResults extends Results {
  /** The path of their folder. */
  folder: string;
}

/** What a report is about. */
export interface ReportData {
  /** The folder that was read. */
  folder: string;
  /** The stages of training, in their order. */
  stages: Stage[];
  /** The results of evaluations. */
  evaluations: ReportedResults[];
}

/** Stages and evaluations are looked for to this depth. */
const MAX_DEPTH = 4;

/** The commands that train, in the order of the stages. */
const TASKS: readonly Task[] = ["pretrain", "sft", "dpo"];

/**
 * Reads a run, or a folder of runs: every `metrics.jsonl` below it is a stage, every `results.json`
 * an evaluation.
 *
 * @param say called with a line of text if lines of measurements are broken
 * @throws {UserError} when there is neither
 */
export async function readReportData(
  folder: string,
  say?: (text: string) => void,
): Promise<ReportData> {
  const files = await listFiles(folder, MAX_DEPTH);
  const withName = (name: string) => files.filter((file) => basename(file) === name).sort();
  const stages = await Promise.all(
    withName("metrics.jsonl").map((file) => readStage(dirname(file), folder, say)),
  );
  const evaluations = await Promise.all(
    withName(RESULTS_FILE).map(async (file) => ({
      ...await readResults(file),
      folder: dirname(file),
    })),
  );
  if (stages.length === 0 && evaluations.length === 0) {
    throw new UserError(
      `${folder}: nothing to report: no metrics.jsonl of a training run and no results.json of an ` +
        `evaluation in it`,
    );
  }
  const place = ({ task }: Stage) => task ? TASKS.indexOf(task) : TASKS.length;
  stages.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
  return { folder: join(folder, "."), stages, evaluations };
}

async function readStage(
  folder: string,
  reported: string,
  say?: (text: string) => void,
): Promise<Stage> {
  const [settings, samples] = await Promise.all([
    readSettings(join(folder, "settings.yaml")),
    readIfThere(join(folder, SAMPLES_FILE)),
  ]);
  const { facts, mixture } = await readRunFacts(folder);
  return {
    name: relative(reported, folder) || basename(resolve(folder)),
    folder,
    task: taskOf(settings),
    settings,
    metrics: readMetrics(join(folder, "metrics.jsonl"), say),
    facts,
    mixture,
    samples: parseSamples(samples ?? ""),
  };
}

/** Only `dpo` has settings of a loss, and `pretrain` alone begins without a model's path. */
function taskOf(settings: Stage["settings"]): Task | undefined {
  if (Object.keys(settings).length === 0) return undefined;
  if ("loss" in settings) return "dpo";
  return "path" in (settings.model ?? {}) ? "sft" : "pretrain";
}

/** Sections of settings, none where there is no file. */
async function readSettings(path: string): Promise<Stage["settings"]> {
  const text = await readIfThere(path);
  if (text === undefined) return {};
  const settings = parseYaml(text, path);
  if (!isRecord(settings) || !Object.values(settings).every(isRecord)) {
    throw new UserError(`${path}: not a training run's settings: expected sections of settings`);
  }
  return settings as Stage["settings"];
}

async function listFiles(folder: string, depth: number): Promise<string[]> {
  try {
    const files: string[] = [];
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isFile) files.push(path);
      else if (entry.isDirectory && depth > 1) files.push(...await listFiles(path, depth - 1));
    }
    return files;
  } catch (error) {
    if (!isMissing(error)) throw readError(error, folder);
    throw new UserError(
      `${folder}: there is no such folder; give the folder of a run, such as runs`,
    );
  }
}
