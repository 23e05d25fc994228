import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { messageOf } from "../../data/text/error-message.ts";
import { shown } from "../../data/text/shown.ts";
import { parseYaml } from "../../data/text/yaml.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import type { Schema, SettingsOf } from "./settings-schema.ts";

/** The file of a run's folder that holds the settings it was started with. */
export const SETTINGS_FILE = "settings.yaml";

/**
 * What may change when a run goes on: none of it changes what is computed. Another `train.gpu` or
 * `train.exchange`, like another machine, rounds differently: the run goes on, but not to the same
 * bits. The datasets may have been moved to another `data.dir`: a hash of their examples tells
 * whether they are the same.
 */
const FREE = new Set([
  "run.dir",
  "data.dir",
  "data.cacheDir",
  "train.gpu",
  "train.exchange",
  "train.recompute",
  "train.validateEvery",
  "train.validationBlocks",
  "train.checkpointEvery",
  "train.keepCheckpoints",
  "train.tensorboard",
]);

/** What may change too when a run that ended is to go on for more steps, as if it had been so always. */
const FREE_AT_END = new Set([
  "train.steps",
  "train.epochs",
  "train.learningRate",
  "train.minimumLearningRate",
  "train.warmupSteps",
  "train.warmupShare",
]);

/** How far a run has come. */
export interface RunProgress {
  /** Steps done. */
  readonly step: number;
  /** Steps of the whole run, as it was last started; unknown in checkpoints of earlier versions. */
  readonly steps?: number;
}

/** Settings that runs of earlier versions have not, as if they had been given like this. */
const EARLIER: Record<string, Record<string, unknown>> = {
  train: { headGradient: "whole" },
  lora: { rank: 0, alpha: 0, dropout: 0, targets: ["all-linear"] },
};

/**
 * Refuses settings that would change the numbers of the run in the folder `dir`.
 *
 * @param progress of that run
 * @throws UserError if it was started with other settings, naming each
 */
export async function requireSameSettings(
  dir: string,
  settings: SettingsOf<Schema>,
  progress: RunProgress,
): Promise<void> {
  const before = await readRunSettings(dir);
  const goesOn = hasEnded(progress) && isLonger(settings.train, before.train, progress.step);
  const free = goesOn ? FREE.union(FREE_AT_END) : FREE;
  const changed = Object.entries(settings).flatMap(([section, values]) =>
    Object.keys({ ...before[section], ...values })
      .filter((key) => section !== "sample" && !free.has(`${section}.${key}`))
      .map((key) => ({
        name: `${section}.${key}`,
        now: values[key],
        was: before[section]?.[key] ?? EARLIER[section]?.[key],
      }))
      .filter(({ now, was }) => JSON.stringify(now) !== JSON.stringify(was))
  );
  if (changed.length === 0) return;
  const list = changed.map(({ name, was, now }) =>
    `${name} was ${inWords(was)} and is now ${inWords(now)}`
  );
  throw new UserError(
    `${dir} holds a run with other settings: ${list.join("; ")}. Go on with the settings it ` +
      `was started with, or start another run with --run.dir.` +
      (hasEnded(progress) ? " As it has ended, it can go on for more train.steps." : ""),
  );
}

function hasEnded({ step, steps }: RunProgress): boolean {
  return steps !== undefined && step >= steps;
}

/** Whether there are steps to do beyond those that are done. */
function isLonger(now: Train, before: Train | undefined, done: number): boolean {
  return Number(now.steps) > 0
    ? Number(now.steps) > done
    : Number(now.epochs) > Number(before?.epochs);
}

/** The settings of a section, of any stage. */
type Train = Readonly<Record<string, unknown>>;

/**
 * The settings that the run in the folder `dir` was started with.
 *
 * @throws UserError if they are missing or damaged
 */
export async function readRunSettings(
  dir: string,
): Promise<Record<string, Record<string, unknown>>> {
  const path = join(dir, SETTINGS_FILE);
  const refuse = (reason: string) =>
    new UserError(
      `${path}: the settings that this run was started with ${reason}. Put the file back, or ` +
        `start another run with --run.dir.`,
    );
  const text = await readIfThere(path);
  if (text === undefined) throw refuse("are missing");
  let settings: unknown;
  try {
    settings = parseYaml(text, path);
  } catch (error) {
    throw refuse(`are damaged: ${messageOf(error)}`);
  }
  if (!isRecord(settings) || !Object.values(settings).every(isRecord)) throw refuse("are damaged");
  return settings as Record<string, Record<string, unknown>>;
}

function inWords(value: unknown): string {
  return value === undefined ? "not set" : shown(value);
}
