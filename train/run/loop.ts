import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";
import type { StepSource } from "../batches/step-source.ts";
import { flopsPerToken, peakRate } from "../step/flops.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import { learningRate } from "../step/schedule.ts";
import type { StepReport, TrainingStep } from "../step/training-step.ts";
import { Checkpoints } from "../checkpoint/checkpoints.ts";
import type { RunKeeper } from "./run-keeper.ts";
import type { RunOptions, TrainedStep } from "./run-options.ts";
import type { TrainingStage } from "./stage.ts";
import { TimeSpent } from "./time-spent.ts";
import type { TrainingState } from "../checkpoint/training-checkpoint.ts";

/** A stage with its planned training step and validation. */
export interface PlannedStage
  extends Pick<TrainingStage, "gpu" | "parameters" | "source" | "training"> {
  readonly step: TrainingStep;
  /** Computes means over the held-out targets, `loss` and others by name; optional. */
  readonly validate?: () => Promise<Record<string, number>>;
  /** How layers divided the tokens of the last validation, by name and layer. */
  readonly routing?: () => Promise<Record<string, number>>;
}

/** How training ended. */
export interface TrainingEnd {
  /** False if it was stopped before its last step. */
  readonly isComplete: boolean;
  /** Where the time went, for people; absent where no step was done. */
  readonly time?: string;
}

/**
 * Trains until the last step, or until the signal stops it: then it finishes the current step and
 * saves a checkpoint.
 *
 * @param start state of the run at the start; not changed
 * @param keeper takes what was measured, and saves checkpoints
 * @throws UserError naming the step, if loss, gradient or updated weights are not finite; nothing
 *   of that step is saved
 */
export async function train(
  stage: PlannedStage,
  start: TrainingState,
  keeper: RunKeeper,
  options: RunOptions,
): Promise<TrainingEnd> {
  const { steps } = stage.training;
  const spent = new TimeSpent(options.began ?? performance.now());
  options.onStart?.(start.step, steps);
  try {
    const { step, tokens } = await trainSteps(stage, start, keeper, options, spent);
    const time = step > start.step ? spent.describe(tokens - start.tokens) : undefined;
    if (time) options.onMessage?.(`Time: ${time}`);
    if (step === steps) return { isComplete: true, time };
    options.onMessage?.(
      step > 0 ? `Stopped after step ${step}, which is saved.` : "Stopped before the first step.",
    );
    return { isComplete: false, time };
  } finally {
    options.onEnd?.();
    await stage.step.settle().catch(() => {}); // before anybody frees what is on its way
  }
}

/** @returns the state of the run at the end */
async function trainSteps(
  stage: PlannedStage,
  start: TrainingState,
  keeper: RunKeeper,
  options: RunOptions,
  spent: TimeSpent,
): Promise<TrainingState> {
  const { gpu, parameters: { config, mixed, adaptation }, step, source, training } = stage;
  const isFrozen = adaptation !== undefined;
  const { ranks = aloneOn("") } = options;
  const { steps } = training;
  const state = { ...start };
  let peak: number | undefined;
  let upcoming: Promise<MicroBatch[]> | undefined;
  let measured = performance.now();
  await using checkpoints = new Checkpoints(keeper, state.step, options.onCheckpoint);
  // A signal to one rank stops all, after the same step.
  const isStopped = async () =>
    (await ranks.allGather([Number(options.signal?.aborted ?? false)])).some(([stops]) => stops);

  spent.endStart();
  while (state.step < steps && !await isStopped()) {
    checkpoints.check();
    // After a step, as a GPU that has been idle runs at a fraction of its clock.
    if (state.step === start.step + 1) peak = await peakRate(gpu, mixed);
    const began = performance.now();
    const rate = learningRate(state.step, training);
    const microBatches = await upcoming ?? source.next();
    const position = source.position();
    // AdamW has not seen the steps that were skipped.
    const running = step.run(microBatches, rate, state.step + 1 - state.skipped);
    if (state.step + 1 < steps) {
      upcoming = prepare(source, step);
      upcoming.catch(() => {}); // the step that needs it throws the error, if that step comes
    }
    const report = await running;
    if (!report.usable || !report.weightsFinite) {
      await checkpoints.settle();
      throw notFinite(state.step + 1, checkpoints.newest, report);
    }
    const { tokens, length } = sizeOfStep(microBatches);
    const seconds = (performance.now() - began) / 1000;
    spent.add("steps", seconds);
    const tokensPerSecond = tokens / seconds;
    state.step++;
    state.tokens += tokens;
    state.position = position;
    if (!report.finite) {
      state.skipped++;
      options.onMessage?.(
        `step ${state.step}: a gradient overflowed at loss scale ${report.lossScale}; step ` +
          `skipped, the scale is now ${step.lossScale.value}`,
      );
    }
    const trained: TrainedStep = {
      step: state.step,
      steps,
      loss: report.loss,
      measures: report.measures,
      gradientNorm: report.gradientNorm,
      learningRate: rate,
      lossScale: report.lossScale,
      skipped: state.skipped,
      tokens: state.tokens,
      tokensPerSecond,
      shareOfPeak: peak &&
        tokensPerSecond * flopsPerToken(config, length, isFrozen) / (peak * ranks.size),
      ...ranks.size > 1 && {
        gpus: ranks.size,
        shareWaited: (report.waited.gradients + report.waited.weights) / seconds,
      },
    };
    options.onStep?.(trained);

    const isLast = state.step === steps || await isStopped();
    const validates = isLast || state.step % training.validateEvery === 0;
    if (validates) await step.settle();
    const heldOut = validates
      ? await spent.during("validation", async () => await stage.validate?.())
      : undefined;
    const validated = heldOut &&
      { ...await stage.routing?.(), validationLoss: heldOut.loss };
    const now = performance.now();
    await keeper.keep(metricsOf(trained, mixed, (now - measured) / 1000, validated));
    measured = now;
    if (heldOut) options.onValidation?.(state.step, heldOut);
    if (state.step % training.checkpointEvery === 0) {
      await spent.during("checkpoints", () => checkpoints.save(state, !isLast));
    }
  }
  await spent.during("checkpoints", async () => {
    // Not inside the loop: the signal may come during the validation of what is then the last step.
    if (checkpoints.begun < state.step) await checkpoints.save(state, false);
    await checkpoints.written();
  });
  return state;
}

/** Makes the next step's micro-batches, and stages the first, while the GPU is at the step before. */
// deno-lint-ignore require-await -- so that an error is thrown where the promise is awaited
async function prepare(source: StepSource, step: TrainingStep): Promise<MicroBatch[]> {
  const microBatches = source.next();
  step.stage(microBatches);
  return microBatches;
}

/**
 * A step's line of `metrics.jsonl`.
 *
 * @param seconds time since the line before: the step, its validation, and a checkpoint before it
 * @param validated what a validation after the step measured
 */
function metricsOf(
  trained: TrainedStep,
  mixed: boolean,
  seconds: number,
  validated: Record<string, number> = {},
): StepMetrics {
  const { step, loss, measures, gradientNorm, tokens, shareOfPeak, lossScale, skipped } = trained;
  const { gpus, shareWaited } = trained;
  return {
    step,
    loss,
    ...measures,
    gradientNorm,
    learningRate: trained.learningRate,
    tokens,
    tokensPerSecond: Math.round(trained.tokensPerSecond),
    seconds: Number(seconds.toPrecision(4)),
    ...(shareOfPeak !== undefined && { shareOfPeak: Number(shareOfPeak.toPrecision(3)) }),
    ...(gpus !== undefined && { gpus }),
    ...(shareWaited !== undefined && { shareWaited: Number(shareWaited.toPrecision(3)) }),
    ...(mixed && { lossScale, skipped }),
    ...validated,
  };
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

/** The tokens of a step, and the mean over these tokens of the length of their sequence. */
function sizeOfStep(microBatches: readonly MicroBatch[]): { tokens: number; length: number } {
  const lengths = microBatches.flatMap(({ inputs }) => inputs.map(({ length }) => length));
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  return { tokens, length: lengths.reduce((sum, length) => sum + length ** 2, 0) / tokens };
}
