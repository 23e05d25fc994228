import type { Gpu } from "../../kernels/runtime/device.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { isMixed } from "../../model/network/precision.ts";
import { type CorpusSource, textOfCorpus } from "../batches/pretraining-text.ts";
import { checkModel, pretrainingStage } from "../pretraining-stage.ts";
import { train } from "../run/loop.ts";
import type { RunOptions } from "../run/run-options.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";
import { HeldOutLoss } from "../step/held-out-loss.ts";
import { TrainingStep } from "../step/training-step.ts";

/** A model that was trained in a page. */
export interface TabRun {
  readonly model: LanguageModel;
  /** The files to store with it, by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** What a page is told. */
export interface TabOptions extends Pick<RunOptions, "signal" | "onStep"> {
  /** Called once the text is read, before kernels are built. */
  readonly onStage: (run: TabRun, unigramEntropy: number) => void;
  /** Called after each step; the next one waits. */
  readonly onMetrics: (metrics: StepMetrics) => Promise<void>;
}

/**
 * Pretrains in a page as `pretrain` does in a folder, by the same steps on the same batches; nothing
 * is saved.
 *
 * @returns the model, also if the signal stopped it before the last step
 * @throws UserError for settings or text that it cannot work with
 */
export async function trainInTab(
  gpu: Gpu,
  given: PretrainSettings,
  source: CorpusSource,
  { signal, onStep, onStage, onMetrics }: TabOptions,
): Promise<TabRun> {
  checkModel(given);
  const precision = isMixed(given.train.precision, gpu.capabilities) ? "mixed" : "f32";
  const settings = { ...given, train: { ...given.train, precision } } as const;
  const text = await textOfCorpus(settings, source);
  const stage = pretrainingStage(gpu, settings, text);
  const { parameters, training, heldOut, room } = stage;
  const model = new LanguageModel(gpu, parameters, { tokenizer: text.tokenizer });
  const run = { model, files: text.files };
  using unfinished = new DisposableStack();
  unfinished.defer(() => model.close());
  onStage(run, stage.unigramEntropy);
  using cleanup = new DisposableStack();
  const options = { ...training, ...room, objective: stage.objective() };
  const step = await TrainingStep.plan(gpu, parameters, options);
  cleanup.defer(() => step.destroy());
  await parameters.load(gpu, stage.initialWeights!);
  const loss = await HeldOutLoss.plan(gpu, parameters, room, stage.objective());
  cleanup.defer(() => loss.destroy());
  const state = { step: 0, tokens: 0, skipped: 0, position: stage.source.position() };
  const keeper = { keep: onMetrics, save: () => Promise.resolve({ written: Promise.resolve("") }) };
  await train({ ...stage, step, validate: () => loss.run(heldOut) }, state, keeper, {
    signal,
    onStep,
  });
  unfinished.move();
  return run;
}
