import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseObject } from "../../data/files/json.ts";
import { isMissing, readError } from "../../data/files/file-errors.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { parseYaml } from "../../data/files/yaml.ts";
import { readMetrics, type StepMetrics } from "../../model/host/step-metrics.ts";
import { readResults, type Results, RESULTS_FILE } from "../results.ts";

/** A stage of training: a folder with `metrics.jsonl`. */
export interface Stage {
  /** Its folder's name, such as `pretrain`. */
  name: string;
  /** The path of its folder. */
  folder: string;
  /** The command that trained it, by its settings; absent where there are none. */
  task?: Task;
  /** `settings.yaml`: section, key, value. */
  settings: Record<string, Record<string, unknown>>;
  /** `metrics.jsonl`, one record a step. */
  metrics: StepMetrics[];
  /** `facts.json`: device, memory, machine and versions of the run. */
  facts: Record<string, unknown>;
  /** Tokens it was trained on by source, or of fine-tuning by language (`examples.json`). */
  mixture: Record<string, number>;
  /** `samples.txt`: texts the model wrote, a line of four dashes between them. */
  samples: string[];
}

/** The command that trained a stage. */
export type Task = "pretrain" | "sft" | "dpo";

/** What a report is about. */
export interface ReportData {
  /** The folder that was read. */
  folder: string;
  /** The stages of training, in their order. */
  stages: Stage[];
  /** The results of evaluations. */
  evaluations: Results[];
}

/** Stages and evaluations are looked for to this depth. */
const MAX_DEPTH = 4;

/** The commands that train, in the order of the stages. */
const TASKS: readonly Task[] = ["pretrain", "sft", "dpo"];

/**
 * Reads a run, or a folder of runs: every `metrics.jsonl` below it is a stage, every `results.json`
 * an evaluation.
 *
 * @throws {UserError} when there is neither
 */
export async function readReportData(folder: string): Promise<ReportData> {
  const files = await listFiles(folder, MAX_DEPTH);
  const withName = (name: string) => files.filter((file) => file.endsWith(`/${name}`)).sort();
  const stages = await Promise.all(
    withName("metrics.jsonl").map((file) => readStage(file.slice(0, file.lastIndexOf("/")))),
  );
  const evaluations = await Promise.all(withName(RESULTS_FILE).map(readResults));
  if (stages.length === 0 && evaluations.length === 0) {
    throw new UserError(
      `${folder}: nothing to report: no metrics.jsonl of a training run and no results.json of an ` +
        `evaluation in it`,
    );
  }
  const place = ({ task }: Stage) => task ? TASKS.indexOf(task) : TASKS.length;
  stages.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
  return { folder, stages, evaluations };
}

async function readStage(folder: string): Promise<Stage> {
  const [settings, samples] = await Promise.all([
    readSettings(join(folder, "settings.yaml")),
    readIfThere(join(folder, "samples.txt")),
  ]);
  const { tokensBySource, ...facts } = await readObject(join(folder, "facts.json"));
  const { tokens } = await readObject(join(folder, "examples.json"));
  return {
    name: folder.split("/").at(-1)!,
    folder,
    task: taskOf(settings),
    settings,
    metrics: readMetrics(join(folder, "metrics.jsonl")),
    facts,
    mixture: (tokensBySource ?? tokens ?? {}) as Record<string, number>,
    samples: (samples ?? "").split(/^-{4}$/m).map((text) => text.trim())
      .filter((text) => text !== ""),
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

/** A JSON object, empty where there is no file. */
async function readObject(path: string): Promise<Record<string, unknown>> {
  const text = await readIfThere(path);
  return text === undefined ? {} : parseObject(text, path);
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
