import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { describeMemory, freeMemory } from "../../kernels/runtime/memory.ts";
import { tightMemory } from "../../model/host/failure-signatures.ts";
import { keepMessage } from "../../model/runs/run-messages.ts";
import { HeldOutLoss } from "../step/held-out-loss.ts";
import { TrainingStep } from "../step/training-step.ts";
import { train } from "./loop.ts";
import { HelpingKeeper } from "./helping-keeper.ts";
import { RunFolderKeeper } from "./run-folder-keeper.ts";
import { addFacts } from "./run-facts.ts";
import type { RunOptions } from "./run-options.ts";
import { requireSameRun } from "./same-run.ts";
import type { TrainingStage } from "./stage.ts";
import { restoreTraining, type TrainingState } from "../checkpoint/training-checkpoint.ts";

/** How a run ended. */
export interface StageEnd {
  /** False if it was stopped before its last step. */
  readonly isComplete: boolean;
  /** The means over the held-out targets, if the run is complete: `loss` and others by name. */
  readonly measures?: Readonly<Record<string, number>>;
}

/**
 * Runs a stage in its folder: plans the training step, reports its memory and checks that there is
 * enough, loads the initial weights or the newest checkpoint, trains, and frees all memory but the
 * parameters. With several ranks, all call it with the same stage; the first one writes the files.
 * Nothing is written before all that can refuse the run has been checked, on every rank.
 *
 * @param given all but `gpu`, which is part of the stage
 * @throws UserError if there is too little memory, if the checkpoint is damaged, or if the loss, the
 *   gradient or the weights of a step are not finite
 */
export async function runStage(
  stage: TrainingStage,
  given: Omit<RunOptions, "gpu"> = {},
): Promise<StageEnd> {
  const { dir, gpu, parameters, training, heldOut } = stage;
  const { ranks = aloneOn(""), began = performance.now() } = given;
  await requireSameRun(ranks, stage, (text) => given.onMessage?.(text));
  // Messages wait until the folder may be written.
  const waiting: string[] = [];
  let keep = (text: string): void => void waiting.push(text);
  const say = (text: string) => {
    keep(text);
    given.onMessage?.(text);
  };
  const options = { ...given, began, onMessage: say };
  using cleanup = new DisposableStack();
  const step = await TrainingStep.plan(
    gpu,
    parameters,
    { ...training, ...stage.room, objective: stage.objective(), ranks },
    (memory, missing) => {
      say(
        `${parameters.summary} on ${ranks.size > 1 ? `${ranks.size} GPUs, each ` : ""}` +
          `${gpu.capabilities.name}; ${describeMemory(memory)}`,
      );
      const tight = tightMemory(missing, freeMemory(gpu));
      if (tight) say(tight);
    },
  );
  cleanup.defer(() => step.destroy());
  let measures: Record<string, number> | undefined;
  let validate: (() => Promise<Record<string, number>>) | undefined;
  let routing: (() => Promise<Record<string, number>>) | undefined;
  if (heldOut.length > 0) {
    const loss = await HeldOutLoss.plan(gpu, parameters, stage.room, stage.objective());
    cleanup.defer(() => loss.destroy());
    validate = async () => measures = await loss.run(heldOut, ranks);
    routing = () => loss.routing(ranks);
  }
  const state = await startingState(stage, step, options);
  await ranks.barrier(); // behind it, no other rank refuses the run
  using keeper = ranks.rank === 0
    ? await RunFolderKeeper.open(stage, step, state.step, ranks.size, say)
    : new HelpingKeeper(parameters, step, dir);
  keep = ranks.rank === 0 ? (text) => keepMessage(dir, text) : () => {};
  waiting.forEach(keep);
  const planned = { ...stage, step, validate, routing };
  const { isComplete, time } = await train(planned, state, keeper, options);
  if (time && ranks.rank === 0) await addFacts(dir, { time });
  // A run that was complete already has not been validated by this call.
  if (isComplete) measures ??= await validate?.();
  await step.release();
  return isComplete ? { isComplete, measures } : { isComplete };
}

/** Loads the parameters. Returns the state from which the run starts. */
async function startingState(
  { dir, begun, gpu, parameters, initialWeights, base, source, training }: TrainingStage,
  step: TrainingStep,
  options: RunOptions,
): Promise<TrainingState> {
  if (!begun) {
    if (initialWeights) await step.load(() => parameters.load(gpu, initialWeights));
    return { step: 0, tokens: 0, skipped: 0, position: source.position(), base: base?.weights };
  }
  const say = (text: string) => options.onMessage?.(text);
  const state = await restoreTraining(begun, gpu, parameters, step, say);
  say(
    state.step < training.steps
      ? `Going on from ${begun.checkpoint}, step ${state.step} of ${training.steps}.`
      : `The run in ${dir} is complete: all ${training.steps} steps are done. To train another ` +
        `model, set run.dir to another folder.`,
  );
  return state;
}
