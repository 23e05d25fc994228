import { join } from "node:path";
import { exists } from "../../data/files/exists.ts";
import { isRecord } from "../../data/files/is-record.ts";
import { Lock } from "../../data/files/lock.ts";
import { makeFolder } from "../../data/files/make-folder.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { formatJson, parseObject } from "../../data/text/json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { newestCheckpoint } from "../../model/host/run-folder.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { PERPLEXITY_FILE } from "../perplexity-results.ts";
import { RESULTS_FILE } from "../../model/host/evaluation-results.ts";
import { SPEED_FILE } from "../../model/host/step-speed.ts";
import type { Experiment, Measure, StageName } from "./experiment.ts";
import { argumentsOf, merged, planArms, type PlannedArm, type PlannedRun, runsOf } from "./plan.ts";

/** The file of an experiment in its folder. */
export const EXPERIMENT_FILE = "experiment.json";

/** Steps of the run that measures how many tokens a step has, and how fast they are. */
const PROBE_STEPS = 6;

/** How far an experiment has come, beside what it is. */
export interface ExperimentState {
  /** The experiment at its scale. */
  readonly experiment: Experiment;
  /** When it began, as ISO 8601 has it. */
  readonly began: string;
  /** Of each stage with a budget, what that comes to. */
  readonly lengths: Partial<Record<StageName, StageLength>>;
  /** The experiment's own command, as it was typed. */
  readonly command: string;
  /** The commands that have ended well, by folder, as they can be typed. */
  readonly commands: Record<string, string>;
}

/** How long the runs of a stage are. */
export interface StageLength {
  /** Optimizer steps of each. */
  readonly steps: number;
  /** Tokens of a step. */
  readonly tokensPerStep: number;
  /** Tokens a second, as measured when the stage began. */
  readonly tokensPerSecond: number;
}

/** Runs a task with arguments, and throws if it fails or is stopped. */
export type RunTask = (task: StageName | "eval", args: string[]) => Promise<void>;

/**
 * Runs an experiment in a folder, or goes on where it was stopped: all runs, then what is measured of
 * each arm.
 *
 * @param command how this was asked for, as it can be typed
 * @param say called with a line before each command
 * @throws {UserError} if the folder holds another experiment, or a command fails
 */
export async function runExperiment(
  experiment: Experiment,
  folder: string,
  command: string,
  runTask: RunTask,
  say: (text: string) => void,
): Promise<void> {
  await makeFolder(folder);
  await using _ = await Lock.ofFolder(folder);
  let state = await readState(folder) ??
    { experiment, began: new Date().toISOString(), command, lengths: {}, commands: {} };
  if (JSON.stringify(state.experiment) !== JSON.stringify(experiment)) {
    throw new UserError(
      `${folder} holds this experiment with other settings. Go on with the file as it was, or choose ` +
        `another folder with --out.`,
    );
  }
  const keep = async (changes: Partial<ExperimentState>) => {
    state = { ...state, ...changes };
    await WholeFile.write(join(folder, EXPERIMENT_FILE), formatJson(state));
  };
  await keep({ command });
  const arms = planArms(experiment, folder);
  const tasks: Task[] = [
    ...runsOf(arms).map((run): Task => ({ kind: "run", run, folder: run.dir })),
    ...arms.flatMap((arm) =>
      experiment.scale.measures.map((measure): Task => ({
        ...{ kind: "measure", arm, measure },
        folder: join(arm.measures, measure),
      }))
    ),
  ];
  for (const [number, task] of tasks.entries()) {
    if (state.commands[task.folder] !== undefined && await isDone(task)) continue;
    let [name, args]: [StageName | "eval", string[]] = ["eval", []];
    if (task.kind === "run") {
      const { run } = task;
      const length = await measuredLength(run, experiment, arms, state, runTask, say);
      await keep({ lengths: { ...state.lengths, ...length } });
      [name, args] = run.stage === "bench:step"
        ? [run.stage, timingArguments(run)]
        : [run.stage, trainingArguments(run, experiment, state.lengths[run.stage])];
    } else {
      args = measuringArguments(task.measure, task.arm, experiment, task.folder);
    }
    say(`[${number + 1}/${tasks.length}] ${inWords(task, arms)}`);
    await runTask(name, args);
    const typed = `deno task ${name} ${args.map(quoted).join(" ")}`;
    await keep({ commands: { ...state.commands, [task.folder]: typed } });
  }
}

/** An experiment in its folder; undefined where there is none. @throws {UserError} if it is damaged */
export async function readState(folder: string): Promise<ExperimentState | undefined> {
  const path = join(folder, EXPERIMENT_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const state = parseObject(text, path);
  const { experiment, command, lengths, commands, began } = state;
  const isSound = isRecord(experiment) && isRecord(experiment.arms) && isRecord(experiment.scale) &&
    isRecord(lengths) && isRecord(commands) && typeof began === "string" &&
    typeof command === "string";
  if (!isSound) throw new UserError(`${path}: not an experiment of deno task experiment`);
  return state as unknown as ExperimentState;
}

/** Either a run of an arm, or something that is measured of it. */
type Task =
  | { readonly kind: "run"; readonly run: PlannedRun; readonly folder: string }
  | {
    readonly kind: "measure";
    readonly arm: PlannedArm;
    readonly measure: Measure;
    readonly folder: string;
  };

async function isDone(task: Task): Promise<boolean> {
  if (task.kind === "run" && task.run.stage === "bench:step") {
    return await exists(join(task.folder, SPEED_FILE));
  }
  if (task.kind === "run") return await newestCheckpoint(task.folder) !== undefined;
  return await exists(join(task.folder, resultsOf(task.measure)));
}

function resultsOf(measure: Measure): string {
  return measure === "bits-per-byte" ? PERPLEXITY_FILE : RESULTS_FILE;
}

/** Such as `DPO, seed 1: dpo`; where several arms go on from a run, they share it. */
function inWords(task: Task, arms: readonly PlannedArm[]): string {
  if (task.kind === "measure") {
    return `${task.arm.arm}, seed ${task.arm.seed}: ${task.measure}`;
  }
  const { dir, seed, stage } = task.run;
  const users = arms.filter(({ runs }) => runs.some((run) => run.dir === dir));
  return `${users.length === 1 ? users[0].arm : "what arms share"}, seed ${seed}: ${stage}`;
}

/** The length of a run's stage, which a short run beside it tells; nothing where it is known already. */
async function measuredLength(
  run: PlannedRun,
  { scale }: Experiment,
  arms: readonly PlannedArm[],
  { lengths }: ExperimentState,
  runTask: RunTask,
  say: (text: string) => void,
): Promise<ExperimentState["lengths"]> {
  const budget = scale.budget[run.stage];
  if (budget === undefined || lengths[run.stage]) return {};
  const dir = `${run.dir}-probe`;
  say(`How fast is ${run.stage}? ${PROBE_STEPS} steps tell`);
  // Those of a run that was stopped on the way may be slower than they would be from the start.
  if (await exists(dir)) await Deno.remove(dir, { recursive: true });
  await runTask(run.stage, trainingArguments({ ...run, dir }, undefined, { steps: PROBE_STEPS }));
  const metrics = readMetrics(join(dir, "metrics.jsonl"));
  await Deno.remove(dir, { recursive: true });
  const tokensPerStep = metrics.at(-1)!.tokens / metrics.length;
  // The first step compiles kernels.
  const speeds = metrics.slice(1).map((line) => line.tokensPerSecond).sort((a, b) => a - b);
  const tokensPerSecond = speeds[speeds.length >> 1];
  const count = runsOf(arms).filter(({ stage }) => stage === run.stage).length;
  const tokens = "tokens" in budget ? budget.tokens : 60 * budget.minutes * tokensPerSecond / count;
  const steps = Math.max(PROBE_STEPS, Math.round(tokens / tokensPerStep));
  say(
    `${tokensPerSecond.toLocaleString("en")} tokens a second; each of ${count} runs of ` +
      `${run.stage} has ${steps} steps of ${Math.round(tokensPerStep)} tokens`,
  );
  return { [run.stage]: { steps, tokensPerStep, tokensPerSecond } };
}

/** Validations and checkpoints come at every tenth of a run whose length is known. */
function trainingArguments(
  { stage, dir, base, settings }: PlannedRun,
  experiment: Experiment | undefined,
  length: { readonly steps: number } | undefined,
): string[] {
  const tenth = Math.ceil((length?.steps ?? 0) / 10);
  return argumentsOf(merged(
    {
      train: {
        ...experiment && { keepCheckpoints: experiment.checkpoints },
        ...length && { validateEvery: tenth, checkpointEvery: tenth },
        ...length && stage === "pretrain" && { warmupSteps: Math.ceil(length.steps / 20) },
      },
    },
    settings,
    { train: { ...length && { steps: length.steps } }, run: { dir } },
    base === undefined ? undefined : { model: { path: base } },
  ));
}

/** GPUs are not a setting of steps, but the command's own option. */
function timingArguments({ dir, settings }: PlannedRun): string[] {
  const { gpus, ...step } = settings.step ?? {};
  return [
    ...argumentsOf({ ...settings, step, run: { dir } }),
    ...gpus === undefined ? [] : [`--gpus=${gpus}`],
  ];
}

function measuringArguments(
  measure: Measure,
  { runs }: PlannedArm,
  { scale }: Experiment,
  out: string,
): string[] {
  const of = ["--model", runs.at(-1)!.dir, "--out", out];
  if (measure === "exam") return ["demo", ...of];
  if (measure !== "bits-per-byte") return [measure, ...of];
  return [
    ...["ppl", scale.text, ...of],
    ...["--by=whole,decoding", `--window=${scale.window}`, "--batch=64"],
    ...scale.bytes === undefined ? [] : [`--bytes=${scale.bytes}`],
  ];
}

function quoted(word: string): string {
  return /^[\p{L}\p{N}_./:=@,-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
