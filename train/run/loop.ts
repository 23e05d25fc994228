import { join } from "node:path";
import { ProgressDisplay } from "../../data/progress/progress-display.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { readMetrics, type StepMetrics } from "../../model/host/step-metrics.ts";
import { flopsPerToken, peakRate } from "../step/flops.ts";
import { Interruption } from "./interruption.ts";
import { lossCurve } from "./loss-curve.ts";
import { MetricsLog } from "./metrics-log.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import { learningRate, type LearningRateSchedule } from "../step/schedule.ts";
import { statusText } from "./step-status.ts";
import { removeOldCheckpoints, saveTraining, type TrainingState } from "./training-checkpoint.ts";
import type { StepReport, TrainingStep } from "../step/training-step.ts";

/** An endless supply of what optimizer steps train on, which can say where it is and return there. */
export interface StepSource {
  /** The micro-batches of the next step. */
  next(): MicroBatch[];
  /** JSON. */
  position(): unknown;
}

/** A run of any stage: stages differ in what `source` and `validate` hold. */
export interface Run {
  /** Name of the stage, for titles. */
  readonly stage: string;
  /** The run's folder. */
  readonly dir: string;
  readonly model: LanguageModel;
  readonly training: TrainingStep;
  readonly source: StepSource;
  readonly schedule: LearningRateSchedule;
  /** The loss over what is held out; left out where nothing is. */
  readonly validate?: () => Promise<number>;
  readonly validateEvery: number;
  readonly checkpointEvery: number;
  readonly keepCheckpoints: number;
  /** Files to store with each checkpoint, by name. */
  readonly files: Record<string, string>;
  /** What a model that knows only how often each held-out token occurs would reach. */
  readonly unigramEntropy?: number;
  /** Pictures to draw of the measurements with each checkpoint, besides the losses: by file name. */
  readonly pictures?: Record<string, (lines: readonly StepMetrics[]) => string>;
  /** How to go on after an interruption, for people. */
  readonly command: string;
}

/**
 * Trains until the last step of the schedule or until Ctrl-C; then the step at hand is finished and
 * a checkpoint written.
 *
 * @param start where the run stands; not changed
 * @returns true if the run is complete
 * @throws UserError naming the step, when loss, gradient or updated weights are not finite; nothing of
 *   that step is saved
 */
export async function train(run: Run, start: TrainingState): Promise<boolean> {
  const { schedule, training, source, model } = run;
  const state = { ...start };
  const { config, mixed } = model.parameters;
  let peak: number | undefined;
  using display = new ProgressDisplay("stdout");
  const show = (status: string) =>
    display.show({ task: "step", done: state.step, total: schedule.steps, status });
  show("");
  using interruption = new Interruption(display);
  using metrics = new MetricsLog(join(run.dir, "metrics.jsonl"), state.step);
  let saved = state.step;
  let upcoming: Promise<MicroBatch[]> | undefined;

  while (state.step < schedule.steps && !interruption.requested) {
    // After a step, as a GPU that has been idle runs at a fraction of its clock.
    if (state.step === start.step + 1) peak = await peakRate(model.gpu, mixed);
    const began = performance.now();
    const rate = learningRate(state.step, schedule);
    const microBatches = await upcoming ?? source.next();
    const position = source.position();
    const running = training.run(microBatches, rate, state.step + 1 - state.skipped);
    if (state.step + 1 < schedule.steps) {
      upcoming = prepare(source, training);
      upcoming.catch(() => {}); // said by the step that needs it, if that comes
    }
    const report = await running;
    if (!report.usable || !report.weightsFinite) throw notFinite(state.step + 1, saved, report);
    const { tokens, sequence } = extentOfStep(microBatches);
    const tokensPerSecond = tokens / ((performance.now() - began) / 1000);
    const shareOfPeak = peak && tokensPerSecond * flopsPerToken(config, sequence) / peak;
    state.step++;
    if (!report.finite) {
      state.skipped++;
      display.line(
        `step ${state.step}: a gradient overflowed at loss scale ${report.lossScale}; step ` +
          `skipped, the scale is now ${training.lossScale.value}`,
      );
    }
    state.tokens += tokens;
    state.position = position;
    const { loss } = report;
    show(statusText({ loss, learningRate: rate, tokensPerSecond, shareOfPeak }));

    const last = state.step === schedule.steps || interruption.requested;
    const validationLoss = last || state.step % run.validateEvery === 0
      ? await run.validate?.()
      : undefined;
    metrics.append({
      step: state.step,
      loss,
      ...report.measures,
      gradientNorm: report.gradientNorm,
      learningRate: rate,
      tokens: state.tokens,
      tokensPerSecond: Math.round(tokensPerSecond),
      ...(shareOfPeak !== undefined && { shareOfPeak: Number(shareOfPeak.toPrecision(3)) }),
      ...(mixed && { lossScale: report.lossScale, skipped: state.skipped }),
      ...(validationLoss !== undefined && { validationLoss }),
    });
    if (validationLoss !== undefined) {
      display.line(`step ${state.step}: validation loss ${validationLoss.toFixed(4)}`);
    }
    if (state.step % run.checkpointEvery === 0) {
      await save(run, state);
      saved = state.step;
    }
  }
  // Here and not at the last step: Ctrl-C may come while that is validated.
  if (saved < state.step) await save(run, state);

  if (state.step < schedule.steps) {
    display.line(
      `Stopped after step ${state.step}, which is saved. To go on from there: ${run.command}`,
    );
    return false;
  }
  return true;
}

/** The next step's micro-batches, the first made ready, while the GPU works on the step before. */
// deno-lint-ignore require-await -- what goes wrong is to be told when it is waited for
async function prepare(source: StepSource, training: TrainingStep): Promise<MicroBatch[]> {
  const microBatches = source.next();
  training.stage(microBatches[0]);
  return microBatches;
}

async function save(run: Run, state: TrainingState): Promise<void> {
  const { gpu, parameters } = run.model;
  await saveTraining(run.dir, gpu, parameters, run.training, state, run.files);
  await removeOldCheckpoints(run.dir, run.keepCheckpoints);
  const lines = readMetrics(join(run.dir, "metrics.jsonl"));
  await WholeFile.write(join(run.dir, "loss.svg"), picture(run, lines));
  for (const [name, draw] of Object.entries(run.pictures ?? {})) {
    await WholeFile.write(join(run.dir, name), draw(lines));
  }
}

function picture(run: Run, lines: readonly StepMetrics[]): string {
  return lossCurve({
    title: `${run.stage}: ${run.model.parameters.count.toLocaleString("en")} parameters`,
    training: lines.map(({ step, loss }) => [step, loss]),
    validation: lines
      .filter(({ validationLoss }) => validationLoss !== undefined)
      .map(({ step, validationLoss }) => [step, validationLoss]),
    unigramEntropy: run.unigramEntropy,
  });
}

function notFinite(step: number, saved: number, report: StepReport): UserError {
  const { loss, gradientNorm, usable } = report;
  const what = usable
    ? `the update made weights that are not finite (loss ${loss}, gradient norm ${gradientNorm}). ` +
      `They were not saved`
    : `loss ${loss}, gradient norm ${gradientNorm}: not finite. The weights were not updated`;
  const checkpoint = saved > 0 ? `the checkpoint of step ${saved}` : "no checkpoint yet";
  return new UserError(
    `Step ${step}: ${what}; there is ${checkpoint}. Lower train.learningRate or lengthen the ` +
      `warm-up in a new run.`,
  );
}

/** Tokens of a step, and how long the sequence of one of them is on average. */
function extentOfStep(microBatches: readonly MicroBatch[]): { tokens: number; sequence: number } {
  const lengths = microBatches.flatMap(({ inputs }) => inputs.map(({ length }) => length));
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  return { tokens, sequence: lengths.reduce((sum, length) => sum + length ** 2, 0) / tokens };
}
