import { basename, dirname, join, relative, resolve } from "node:path";
import { isMissing, readError } from "../../data/files/file-errors.ts";
import { isRecord } from "../../data/files/is-record.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { parseYaml } from "../../data/text/yaml.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { type Facts, readRunFacts } from "../host/run-facts.ts";
import { parseSamples, type Sample, SAMPLES_FILE } from "../host/samples-file.ts";
import { readMetrics, type StepMetrics } from "../host/step-metrics.ts";

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

/** The file that makes a folder a stage of training. */
export const METRICS_FILE = "metrics.jsonl";

/** Stages and evaluations are looked for to this depth. */
const MAX_DEPTH = 4;

/** The commands that train, in the order of the stages. */
const TASKS: readonly Task[] = ["pretrain", "sft", "dpo"];

/**
 * Reads the stages of training among these files: the folders that hold a `metrics.jsonl`.
 *
 * @param files of {@linkcode filesBelow}
 * @param folder where they were looked for
 * @param say called with a line of text if lines of measurements are broken
 * @returns in the order in which stages follow each other
 * @throws UserError naming a file that is not what it should be
 */
export async function readStages(
  files: readonly string[],
  folder: string,
  say?: (text: string) => void,
): Promise<Stage[]> {
  const logs = files.filter((file) => basename(file) === METRICS_FILE).sort();
  const stages = await Promise.all(logs.map((file) => readStage(dirname(file), folder, say)));
  const place = ({ task }: Stage) => task ? TASKS.indexOf(task) : TASKS.length;
  return stages.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
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
    metrics: readMetrics(join(folder, METRICS_FILE), say),
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

/**
 * The files of a folder and of those in it, to a depth.
 *
 * @throws UserError if there is no such folder
 */
export async function filesBelow(folder: string, depth: number = MAX_DEPTH): Promise<string[]> {
  try {
    const files: string[] = [];
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isFile) files.push(path);
      else if (entry.isDirectory && depth > 1) files.push(...await filesBelow(path, depth - 1));
    }
    return files;
  } catch (error) {
    if (!isMissing(error)) throw readError(error, folder);
    throw new UserError(
      `${folder}: there is no such folder; give the folder of a run, such as runs`,
    );
  }
}
