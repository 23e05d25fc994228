/**
 * An experiment: arms that differ in few settings, each run from several seeds and measured alike. It is
 * a YAML file; each part of it is described where it is declared here.
 *
 * @module
 */
import { basename } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { fileText } from "../../data/files/text-file.ts";
import { shown } from "../../data/text/shown.ts";
import { parseYaml } from "../../data/text/yaml.ts";
import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** A command that trains, or that times steps of training. */
export type StageName = "pretrain" | "sft" | "dpo" | "bench:step";

/** These commands, in the order in which an arm runs them. */
export const STAGES: readonly StageName[] = ["pretrain", "sft", "dpo", "bench:step"];

/** Those that train, for so long as a budget says. */
const TRAINING: readonly StageName[] = ["pretrain", "sft", "dpo"];

/** Something that can be measured of an arm's last model. */
export type Measure = "bits-per-byte" | "exam" | "ceval" | "cmmlu" | "mmlu";

const MEASURES: readonly Measure[] = ["bits-per-byte", "exam", "ceval", "cmmlu", "mmlu"];

/** What the paper may have figures of: a measure, or what `bench:step` finds. */
export type PublishedFigure = Measure | "tokens-per-second" | "gigabytes";

const PUBLISHED_FIGURES: readonly PublishedFigure[] = [
  ...MEASURES,
  "tokens-per-second",
  "gigabytes",
];

/** Settings of a command by section and key, as in its own YAML file. */
export type Settings = Record<string, Record<string, unknown>>;

/** The settings of some stages; `false` where an arm does not run the stage. */
export type ArmSettings = Partial<Record<StageName, Settings | false>>;

/** How long a stage is trained: each run for so many tokens, or all runs together for so many minutes. */
export type Budget = { readonly tokens: number } | { readonly minutes: number };

/** How large an experiment is. */
export interface Scale {
  /** What it takes, for people. */
  readonly about?: string;
  /** The seeds that each arm is run from. */
  readonly seeds: readonly number[];
  /** By stage; one without a budget runs as long as its settings say. */
  readonly budget: Partial<Record<StageName, Budget>>;
  /** Settings of all arms at this scale; a stage that only this scale names is run at this scale only. */
  readonly stages: ArmSettings;
  /** Settings of single arms at this scale. */
  readonly arms: Readonly<Record<string, ArmSettings>>;
  /** What is measured at this scale. */
  readonly measures: readonly Measure[];
  /** The text whose bits per byte are measured: `embedded`, or a file. */
  readonly text: string;
  /** Bytes of each source of the embedded text that are measured; as many as usual if undefined. */
  readonly bytes?: number;
  /** Tokens of a pass over that text. */
  readonly window: number;
  /** Tokens a second that were measured, from which the plan computes what the scale costs. */
  readonly tokensPerSecond?: number;
}

/** An experiment at one scale. */
export interface Experiment {
  /** The name of its file. */
  readonly name: string;
  /** Its title. */
  readonly title: string;
  /** What it is to find out. */
  readonly question: string;
  /** The table or figure of the paper that it stands beside. */
  readonly paper: string;
  /** Settings of all arms; the stages that are named here are run. */
  readonly stages: ArmSettings;
  /** By name, the settings in which each arm differs. The first one is what others are compared with. */
  readonly arms: Readonly<Record<string, ArmSettings>>;
  /** How many checkpoints of each run are kept. */
  readonly checkpoints: number;
  /** Figures of the paper: of each arm, by what was measured. */
  readonly published: Readonly<Record<string, Partial<Record<PublishedFigure, number>>>>;
  /** The name of the scale. */
  readonly scaleName: string;
  /** How large it is. */
  readonly scale: Scale;
}

/**
 * Reads an experiment at a scale.
 *
 * @param scale its name; the first one of the file when left out
 * @throws {UserError} naming the file and the key, for what is missing, unknown or of another kind
 */
export async function readExperiment(path: string, scale?: string): Promise<Experiment> {
  const name = basename(path).replace(/\.ya?ml$/, "");
  return experimentOf(parseYaml(await fileText(path), path), { path, name, scale });
}

function experimentOf(
  value: unknown,
  { path, name, scale }: { path: string; name: string; scale?: string },
): Experiment {
  const read = new Keys(value, path, [
    ...["title", "question", "paper", "stages", "arms", "measures", "checkpoints", "published"],
    "scales",
  ]);
  const stages = read.stages("stages");
  if (Object.keys(stages).length === 0) read.refuse("stages", "settings of pretrain, sft or dpo");
  const arms = read.mapOf("arms", (arm) => arm.stageSettings());
  if (Object.keys(arms).length === 0) read.refuse("arms", "at least one arm");
  const scales = read.mapOf("scales", (one) => one);
  const scaleName = scale ?? Object.keys(scales)[0];
  const found = scaleName === undefined ? undefined : scales[scaleName];
  if (!found) {
    throw new UserError(
      `${path}: there is no scale ${scaleName}; expected ${Object.keys(scales).join(", ")}`,
    );
  }
  const ofScale = found.only(
    ...["about", "seeds", "budget", "stages", "arms", "measures", "text", "bytes", "window"],
    "tokensPerSecond",
  );
  return {
    name,
    title: read.text("title"),
    question: read.text("question"),
    paper: read.text("paper", ""),
    stages,
    arms,
    checkpoints: read.number("checkpoints", 1),
    published: read.mapOf("published", (row) => row.numbersOf(PUBLISHED_FIGURES)),
    scaleName,
    scale: {
      about: ofScale.text("about", ""),
      seeds: ofScale.numbers("seeds", [1]),
      budget: ofScale.mapOf("budget", (budget) => budget.budget(), TRAINING),
      stages: ofScale.stages("stages"),
      arms: ofScale.mapOf("arms", (arm) => arm.stageSettings(), Object.keys(arms)),
      measures: ofScale.choices("measures", MEASURES, read.choices("measures", MEASURES, [])),
      text: ofScale.text("text", "embedded"),
      bytes: ofScale.number("bytes", 0) || undefined,
      window: ofScale.number("window", 64),
      tokensPerSecond: ofScale.number("tokensPerSecond", 0) || undefined,
    },
  };
}

/** Typed access to the keys of a mapping, with the place of each in errors. */
class Keys {
  private readonly values: Record<string, unknown>;

  constructor(value: unknown, private readonly where: string, known?: readonly string[]) {
    if (!isRecord(value ?? {})) {
      throw new UserError(`${where} is ${shown(value)}; expected "name: value" lines`);
    }
    this.values = (value ?? {}) as Record<string, unknown>;
    if (known) this.only(...known);
  }

  only(...known: string[]): this {
    const unknown = Object.keys(this.values).find((key) => !known.includes(key));
    if (unknown === undefined) return this;
    throw new UserError(`${this.where}: unknown key "${unknown}"${didYouMean(unknown, known)}`);
  }

  refuse(key: string, expected: string): never {
    throw new UserError(
      `${this.where}: ${key} is ${shown(this.values[key])}; expected ${expected}`,
    );
  }

  text(key: string, fallback?: string): string {
    const value = this.values[key] ?? fallback;
    return typeof value === "string" ? value.trim() : this.refuse(key, "text");
  }

  number(key: string, fallback: number): number {
    const value = this.values[key] ?? fallback;
    return typeof value === "number" && value >= 0 ? value : this.refuse(key, "a number");
  }

  numbers(key: string, fallback: number[]): number[] {
    const value = this.values[key] ?? fallback;
    const isList = Array.isArray(value) && value.length > 0 &&
      value.every((item) => Number.isSafeInteger(item) && item >= 0) &&
      new Set(value).size === value.length;
    return isList ? value : this.refuse(key, "a list of whole numbers, none of them twice");
  }

  choices<T extends string>(key: string, allowed: readonly T[], fallback: readonly T[]): T[] {
    const value = this.values[key] ?? fallback;
    const isKnown = Array.isArray(value) && value.every((item) => allowed.includes(item));
    return isKnown ? value : this.refuse(key, `a list of ${allowed.join(", ")}`);
  }

  numbersOf<T extends string>(allowed: readonly T[]): Partial<Record<T, number>> {
    this.only(...allowed);
    const wrong = Object.keys(this.values).find((key) => typeof this.values[key] !== "number");
    if (wrong !== undefined) this.refuse(wrong, "a number");
    return this.values as Partial<Record<T, number>>;
  }

  /** What `read` makes of each value. */
  mapOf<T>(key: string, read: (keys: Keys) => T, known?: readonly string[]): Record<string, T> {
    const keys = new Keys(this.values[key], `${this.where}: ${key}`, known);
    return Object.fromEntries(
      Object.entries(keys.values).map(([name, value]) => [
        name,
        read(new Keys(value, `${this.where}: ${key}.${name}`)),
      ]),
    );
  }

  stages(key: string): ArmSettings {
    return new Keys(this.values[key], `${this.where}: ${key}`).stageSettings();
  }

  stageSettings(): ArmSettings {
    this.only(...STAGES);
    for (const [stage, sections] of Object.entries(this.values)) {
      if (sections === false) continue;
      new Keys(sections, `${this.where}.${stage}`);
      for (const [section, settings] of Object.entries(sections ?? {})) {
        new Keys(settings, `${this.where}.${stage}.${section}`);
      }
    }
    return Object.fromEntries(
      Object.entries(this.values).map(([stage, sections]) => [stage, sections ?? {}]),
    );
  }

  budget(): Budget {
    this.only("tokens", "minutes");
    const [[key, value] = ["tokens", undefined], ...others] = Object.entries(this.values);
    if (typeof value === "number" && value > 0 && others.length === 0) {
      return { [key]: value } as unknown as Budget;
    }
    throw new UserError(`${this.where}: expected "tokens: N" or "minutes: N"`);
  }
}
