import { join } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { type Experiment, type Settings, type StageName, STAGES } from "./experiment.ts";

/** A stage of training that an experiment needs, in a folder of its own. */
export interface PlannedRun {
  /** The command. */
  readonly stage: StageName;
  /** The arm, or undefined where all arms go on from it. */
  readonly arm?: string;
  /** The seed of weights and order. */
  readonly seed: number;
  /** The run's folder. */
  readonly dir: string;
  /** The folder of the run that it starts from. */
  readonly base?: string;
  /** Its settings, but for its length. */
  readonly settings: Settings;
}

/** An arm from one seed. */
export interface PlannedArm {
  /** Its name. */
  readonly arm: string;
  /** The seed. */
  readonly seed: number;
  /** Its runs, first to last; the last one's model is measured. */
  readonly runs: readonly PlannedRun[];
  /** The folder of what is measured. */
  readonly measures: string;
}

/** The folder of the runs that all arms go on from. */
const SHARED = "shared";

/** The settings that depend on the seed. */
const SEEDED: Record<StageName, readonly (readonly [section: string, key: string])[]> = {
  pretrain: [["train", "seed"], ["data", "seed"]],
  sft: [["data", "seed"]],
  dpo: [["data", "seed"]],
  "bench:step": [],
};

/**
 * The arms of an experiment with their runs. What arms do not differ in, up to and with a stage, is run
 * once for all of them.
 *
 * @param folder where the experiment is kept
 * @throws {UserError} for an arm that runs no stage, or whose folder would be another arm's too
 */
export function planArms(experiment: Experiment, folder: string): PlannedArm[] {
  const { scale, stages, arms } = experiment;
  const names = STAGES.filter((stage) => stages[stage] || scale.stages[stage]);
  requireOwnFolders(Object.keys(arms));
  return scale.seeds.flatMap((seed) =>
    Object.keys(arms).map((arm): PlannedArm => {
      const ofArm = join(folder, folderName(arm), `seed-${seed}`);
      const runs: PlannedRun[] = [];
      let isOwn = false;
      for (const stage of names) {
        const changes = [arms[arm][stage], scale.arms[arm]?.[stage]];
        if (changes.includes(false)) {
          isOwn = true; // what follows starts from another model than that of the other arms
          continue;
        }
        isOwn ||= changes.some((settings) => settings !== undefined);
        const asked = merged(stages[stage], scale.stages[stage], ...changes);
        const base = runs.at(-1)?.dir;
        refuseOwn(asked, `arms.${arm}: ${stage}`, ownSettings(experiment, stage, base));
        runs.push({
          stage,
          arm: isOwn ? arm : undefined,
          seed,
          dir: join(isOwn ? ofArm : join(folder, SHARED, `seed-${seed}`), folderName(stage)),
          base,
          settings: merged(asked, seeded(stage, seed)),
        });
      }
      if (runs.length === 0) throw new UserError(`arms.${arm}: it runs no stage; expected one`);
      return { arm, seed, runs, measures: join(ofArm, "measures") };
    })
  );
}

/** The settings that the experiment itself gives to a stage's runs, with what it takes them from. */
function ownSettings(
  { scale }: Experiment,
  stage: StageName,
  base: string | undefined,
): Record<string, string> {
  return {
    "run.dir": "the folder of the experiment",
    ...Object.fromEntries(
      SEEDED[stage].map(([section, key]) => [`${section}.${key}`, "the scale's seeds"]),
    ),
    ...scale.budget[stage] && { "train.steps": `the scale's budget of ${stage}` },
    ...base !== undefined && { "model.path": "the stage before" },
  };
}

/** Refuses settings that would be replaced. */
function refuseOwn(settings: Settings, where: string, own: Record<string, string>): void {
  for (const [section, values] of Object.entries(settings)) {
    for (const key of Object.keys(values)) {
      const name = `${section}.${key}`;
      if (!Object.hasOwn(own, name)) continue;
      throw new UserError(
        `${where} ${name}: an experiment takes it from ${own[name]}; leave it out`,
      );
    }
  }
}

/** All runs of the arms, each once, those before that others start from. */
export function runsOf(arms: readonly PlannedArm[]): PlannedRun[] {
  return [...new Map(arms.flatMap(({ runs }) => runs).map((run) => [run.dir, run])).values()];
}

/** Whether the last runs of all arms minimize the same loss, which can be drawn on one axis. */
export function haveOneLoss(arms: readonly PlannedArm[]): boolean {
  const last = new Set(arms.map(({ runs }) => runs.at(-1)!.stage));
  return last.size === 1 && !last.has("dpo");
}

/** Whether the last runs of all arms read the same data, so that their losses can be compared. */
export function haveOneText(arms: readonly PlannedArm[]): boolean {
  const last = arms.map(({ runs }) => JSON.stringify({ ...runs.at(-1)!.settings.data, seed: 0 }));
  return new Set(last).size === 1;
}

/** The settings in which an arm differs from what all share, as `stage section.key`. */
export function changesOf(
  { arms, scale }: Experiment,
  arm: string,
): Map<string, unknown> {
  const changes = new Map<string, unknown>();
  for (const stages of [arms[arm], scale.arms[arm] ?? {}]) {
    for (const [stage, settings] of Object.entries(stages)) {
      if (settings === false) changes.set(`no ${stage}`, true);
      for (const [section, values] of Object.entries(settings || {})) {
        for (const [key, value] of Object.entries(values ?? {})) {
          changes.set(`${stage} ${section}.${key}`, value);
        }
      }
    }
  }
  return changes;
}

/** Settings as arguments of a command. */
export function argumentsOf(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([section, values]) =>
    Object.entries(values).flatMap(([key, value]) =>
      [value].flat().map((item) => `--${section}.${key}=${inText(item)}`)
    )
  );
}

/** `- NAME: 0.2` of a list is `NAME: 0.2`. */
function inText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).map(([name, amount]) => `${name}: ${amount}`).join();
}

function seeded(stage: StageName, seed: number): Settings {
  return merged(...SEEDED[stage].map(([section, key]) => ({ [section]: { [key]: seed } })));
}

/** Settings over settings: the later ones win. */
export function merged(...all: (Settings | false | undefined)[]): Settings {
  const result: Settings = {};
  for (const settings of all) {
    for (const [section, values] of Object.entries(settings || {})) {
      result[section] = { ...result[section], ...values };
    }
  }
  return result;
}

function requireOwnFolders(arms: readonly string[]): void {
  const taken = new Map([[SHARED, "what arms share"]]);
  for (const arm of arms) {
    const folder = folderName(arm);
    const other = taken.get(folder);
    if (other !== undefined) {
      throw new UserError(
        `arms.${arm}: its folder would be ${folder}, which is that of ${other}; give it another name`,
      );
    }
    taken.set(folder, arm);
  }
}

function folderName(arm: string): string {
  return arm.replace(/[^\p{L}\p{N}._-]+/gu, "-");
}
