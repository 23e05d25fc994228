import { join } from "node:path";
import { exists } from "../../data/files/exists.ts";
import { parseObject } from "../../data/text/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { readStepSpeed } from "../../model/host/step-speed.ts";
import { readMetrics, type StepMetrics } from "../../model/host/step-metrics.ts";
import { readPerplexity, totalBitsPerByte } from "../perplexity-results.ts";
import { readResults, RESULTS_FILE } from "../../model/host/evaluation-results.ts";
import type { Experiment, Measure, PublishedFigure } from "./experiment.ts";
import { haveOneLoss, haveOneText, planArms, type PlannedArm } from "./plan.ts";

/** What was measured of an arm, one value a seed that has been measured so far. */
export interface ArmMeasurements {
  /** Its name. */
  readonly arm: string;
  /** The values of each seed, by what was measured. */
  readonly values: ReadonlyMap<Quantity, readonly number[]>;
  /** Bits a byte as generated of each source of the text, one value a seed. */
  readonly sources: ReadonlyMap<string, readonly number[]>;
  /** Why steps were planned and not timed, if they were not. */
  readonly notRun?: string;
  /** What the last run measured at each step, by seed. */
  readonly curves: ReadonlyMap<number, readonly StepMetrics[]>;
}

/** What is told of an arm. */
export interface Quantity {
  /** Heading of its column. */
  readonly title: string;
  /** Digits behind the point. */
  readonly digits: number;
  /** Whether it is planned, not measured: it has no error then, and three digits whatever its size. */
  readonly isPlanned?: boolean;
  /** What the paper may have a figure of. */
  readonly figure?: PublishedFigure;
  /** Whether it is a result, with an error: not what an arm costs. */
  readonly isResult: boolean;
}

const BENCHMARKS: Record<Exclude<Measure, "bits-per-byte">, Quantity> = {
  exam: { title: "exam, %", digits: 1, figure: "exam", isResult: true },
  ceval: { title: "C-Eval, %", digits: 2, figure: "ceval", isResult: true },
  cmmlu: { title: "CMMLU, %", digits: 2, figure: "cmmlu", isResult: true },
  mmlu: { title: "MMLU, %", digits: 2, figure: "mmlu", isResult: true },
};
/** The honest figure: each byte is predicted from those before it. */
export const AS_GENERATED: Quantity = {
  title: "bits a byte, as generated",
  digits: 4,
  figure: "bits-per-byte",
  isResult: true,
};
/** A model that is not causal has seen what it predicts here. */
export const WHOLE_PASS: Quantity = { title: "bits a byte, whole pass", digits: 4, isResult: true };
const VALIDATION: Quantity = { title: "validation loss at the end", digits: 4, isResult: true };
/** Of the pairs that a preference loss trains on. */
export const ACCURACY: Quantity = {
  title: "better answer has the larger reward, %",
  digits: 1,
  isResult: true,
};
const PARAMETERS: Quantity = { title: "parameters", digits: 0, isResult: false };
const TOKENS: Quantity = { title: "tokens trained on", digits: 0, isResult: false };
const SPEED: Quantity = { title: "tokens/s", digits: 0, isResult: false };
const MEMORY: Quantity = { title: "memory, MB", digits: 1, isResult: false };

/** Tokens a second of steps that `bench:step` times. */
export const STEP_SPEED: Quantity = {
  title: "tokens/s of a GPU",
  digits: 0,
  figure: "tokens-per-second",
  isResult: true,
};
/** What one GPU needs for them. */
export const STEP_MEMORY: Quantity = {
  title: "memory of a GPU, GB",
  digits: 1,
  figure: "gigabytes",
  isPlanned: true,
  isResult: true,
};

/** Everything that is told of arms, in the order of a table. */
export const QUANTITIES: readonly Quantity[] = [
  AS_GENERATED,
  WHOLE_PASS,
  VALIDATION,
  ACCURACY,
  ...Object.values(BENCHMARKS),
  STEP_SPEED,
  STEP_MEMORY,
  PARAMETERS,
  TOKENS,
  SPEED,
  MEMORY,
];

/** Reads what has been measured of each arm of the experiment in a folder. */
export async function readMeasurements(
  experiment: Experiment,
  folder: string,
): Promise<ArmMeasurements[]> {
  const all = planArms(experiment, folder);
  const planned = Map.groupBy(all, ({ arm }) => arm);
  return await Promise.all([...planned].map(async ([arm, seeds]) => {
    const values = new Map<Quantity, number[]>();
    const add = (quantity: Quantity, value: number | undefined) => {
      if (value === undefined) return;
      values.set(quantity, [...values.get(quantity) ?? [], value]);
    };
    const curves = new Map<number, StepMetrics[]>();
    const sources = new Map<string, number[]>();
    let notRun: string | undefined;
    for (const seed of seeds) {
      const last = seed.runs.at(-1)!;
      const metrics = readMetrics(join(last.dir, "metrics.jsonl"));
      if (metrics.length > 0) curves.set(seed.seed, metrics);
      const speeds = metrics.map((line) => line.tokensPerSecond).sort((a, b) => a - b);
      if (haveOneLoss(all) && haveOneText(all)) add(VALIDATION, metrics.at(-1)?.validationLoss);
      const accuracies = endOf(metrics).map(({ accuracy }) => 100 * accuracy);
      add(ACCURACY, meanOf(accuracies.filter(Number.isFinite))?.mean);
      add(TOKENS, metrics.at(-1)?.tokens);
      add(SPEED, speeds[speeds.length >> 1]);
      const { parameters, memoryBytes } = await readFacts(last.dir);
      add(PARAMETERS, parameters);
      add(MEMORY, memoryBytes === undefined ? undefined : memoryBytes / 1e6);
      await addMeasures(seed, add, sources);
      const steps = await readStepSpeed(last.dir);
      add(STEP_SPEED, steps?.tokensPerSecond);
      add(STEP_MEMORY, steps && steps.memoryBytes / 1e9);
      notRun ??= steps?.notRun;
    }
    return { arm, values, sources, notRun, curves };
  }));
}

/** A step has few examples: those of one step are no measurement. */
const LEAST_STEPS = 10;
/** What {@linkcode endOf} takes. */
export const LAST_STEPS_IN_WORDS =
  `in the last tenth of the steps, or in the last ${LEAST_STEPS} where these are more`;

/** What stands for the end of a run in what each step measures. */
export function endOf<T>(steps: readonly T[]): readonly T[] {
  return steps.slice(-Math.max(LEAST_STEPS, Math.ceil(steps.length / 10)));
}

async function addMeasures(
  { measures }: PlannedArm,
  add: (quantity: Quantity, value: number | undefined) => void,
  sources: Map<string, number[]>,
): Promise<void> {
  const perplexity = await readPerplexity(join(measures, "bits-per-byte"));
  if (perplexity) {
    add(AS_GENERATED, totalBitsPerByte(perplexity, "decoding"));
    add(WHOLE_PASS, totalBitsPerByte(perplexity, "whole"));
    for (const [source, { decoding }] of Object.entries(perplexity.sources)) {
      if (decoding) sources.set(source, [...sources.get(source) ?? [], decoding.bitsPerByte]);
    }
  }
  for (const [name, quantity] of Object.entries(BENCHMARKS)) {
    const path = join(measures, name, RESULTS_FILE);
    if (!await exists(path)) continue;
    const { scores, average } = await readResults(path);
    if (scores) add(quantity, 100 * scores.overall[average].accuracy);
  }
}

/** What a run notes of its model and memory. */
async function readFacts(
  dir: string,
): Promise<{ parameters?: number; memoryBytes?: number }> {
  const path = join(dir, "facts.json");
  const text = await readIfThere(path);
  if (text === undefined) return {};
  const { parameters, memoryBytes } = parseObject(text, path);
  // Of an adapter it is a sentence: those that are trained beside those that are not.
  const isCount = typeof parameters === "string" && /^[\d,]+$/.test(parameters);
  return {
    parameters: isCount ? Number(parameters.replaceAll(",", "")) : undefined,
    memoryBytes: typeof memoryBytes === "number" ? memoryBytes : undefined,
  };
}

/** A mean over seeds, with its standard error where there is more than one. */
export interface Mean {
  /** The mean. */
  readonly mean: number;
  /** Its standard error. */
  readonly error?: number;
}

/** The mean of some values; undefined for none. */
export function meanOf(values: readonly number[] | undefined): Mean | undefined {
  if (!values || values.length === 0) return undefined;
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean };
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  return { mean, error: Math.sqrt(square / count) };
}

/** The difference of two means; its error is known where both errors are. */
export function differenceOf(a: Mean, b: Mean): Mean {
  const error = a.error !== undefined && b.error !== undefined
    ? Math.hypot(a.error, b.error)
    : undefined;
  return { mean: a.mean - b.mean, error };
}
