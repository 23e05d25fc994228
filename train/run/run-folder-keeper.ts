import { join } from "node:path";
import { makeFolder } from "../../data/files/make-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { chartFile } from "../../data/page/draw.ts";
import { lossChart } from "../../data/page/loss-chart.ts";
import { FailureSignatures } from "../../model/host/failure-signatures.ts";
import { readMetrics, type StepMetrics } from "../../model/host/step-metrics.ts";
import type { TrainingStep } from "../step/training-step.ts";
import { EventFile } from "./event-file.ts";
import { MetricsLog } from "./metrics-log.ts";
import { FACTS_FILE, factsOfRun } from "./run-facts.ts";
import type { RunKeeper, Saving } from "./run-keeper.ts";
import type { TrainingStage } from "./stage.ts";
import { gatheredValues, StateCopies, type StateValues } from "../checkpoint/state-values.ts";
import {
  removeOldCheckpoints,
  type SavedState,
  savedState,
  saveTraining,
  type TrainingState,
} from "../checkpoint/training-checkpoint.ts";

/** Keeps a run in its folder: what it is of, `metrics.jsonl`, checkpoints, and pictures of the run so far. */
export class RunFolderKeeper implements RunKeeper, Disposable {
  readonly #signatures: FailureSignatures;
  /** Of a run that is not sharded. */
  readonly #copies?: StateCopies;

  private constructor(
    private readonly stage: TrainingStage,
    private readonly step: TrainingStep,
    private readonly log: MetricsLog,
    private readonly events: EventFile | undefined,
    done: number,
    private readonly say: (text: string) => void = () => {},
  ) {
    this.#signatures = new FailureSignatures(stage.signatures);
    for (const line of readMetrics(this.#path("metrics.jsonl"))) this.#signatures.observe(line);
    const { gpu, parameters, training: { steps, checkpointEvery } } = stage;
    if (step.isSharded) return;
    this.#copies = new StateCopies(gpu, parameters, step);
    const next = done + checkpointEvery - done % checkpointEvery;
    if (next < steps) this.#copies.prepare();
  }

  /**
   * Writes into the folder what the run is of, and opens the metrics of a run that continues after
   * `done` steps. Called when nothing else refuses the run any more; what is in the folder and is not
   * of a run is refused here, before anything is written.
   *
   * @param gpus how many share the run
   * @param say called with a line of text if lines of the metrics are broken, and with what they show
   * @throws UserError if a file is damaged, or cannot be written
   */
  static async open(
    stage: TrainingStage,
    step: TrainingStep,
    done: number,
    gpus: number,
    say?: (text: string) => void,
  ): Promise<RunFolderKeeper> {
    const { dir, runFiles, training } = stage;
    const files = { ...runFiles, [FACTS_FILE]: await factsOfRun(stage, step.memory, gpus) };
    await makeFolder(dir);
    using unfinished = new DisposableStack();
    const log = unfinished.use(new MetricsLog(join(dir, "metrics.jsonl"), done, say));
    for (const [name, text] of Object.entries(files)) await WholeFile.write(join(dir, name), text);
    const events = training.tensorboard
      ? unfinished.use(await EventFile.open(dir, done))
      : undefined;
    const keeper = new RunFolderKeeper(stage, step, log, events, done, say);
    unfinished.move();
    return keeper;
  }

  keep(metrics: StepMetrics): void {
    this.log.append(metrics);
    this.events?.append(metrics);
    for (const { step, text } of this.#signatures.observe(metrics)) {
      this.say(`step ${step}: ${text}`);
    }
  }

  async save(state: TrainingState, goesOn: boolean): Promise<Saving> {
    const { parameters, training: { steps } } = this.stage;
    const saved = savedState({ ...state, steps }, this.step);
    const copied = await this.#copies?.copy(goesOn);
    const written = this.#write(saved, copied ?? gatheredValues(parameters, this.step))
      .finally(() => copied?.[Symbol.dispose]());
    if (!copied?.isWhole) await written;
    return { written };
  }

  /** Writes a checkpoint and draws the run so far. Returns the checkpoint's folder. */
  async #write(state: SavedState, values: StateValues): Promise<string> {
    const { dir, parameters, training, files = {}, pictures = {} } = this.stage;
    const folder = await saveTraining(dir, parameters, state, files, values);
    await removeOldCheckpoints(dir, training.keepCheckpoints);
    const metrics = readMetrics(this.#path("metrics.jsonl"));
    await WholeFile.write(this.#path("loss.svg"), lossPicture(this.stage, metrics));
    for (const [name, draw] of Object.entries(pictures)) {
      await WholeFile.write(this.#path(name), draw(metrics));
    }
    return folder;
  }

  [Symbol.dispose](): void {
    this.log[Symbol.dispose]();
    this.events?.[Symbol.dispose]();
    this.#copies?.[Symbol.dispose]();
  }

  #path(name: string): string {
    return join(this.stage.dir, name);
  }
}

function lossPicture(stage: TrainingStage, metrics: readonly StepMetrics[]): string {
  const chart = lossChart({
    title: `${stage.name}: ${stage.parameters.summary}`,
    training: metrics.map(({ step, loss }) => [step, loss]),
    validation: metrics
      .filter(({ validationLoss }) => validationLoss !== undefined)
      .map(({ step, validationLoss }) => [step, validationLoss]),
    unit: stage.unigramEntropy === undefined ? "loss" : "loss (nats a token)",
    unigramEntropy: stage.unigramEntropy,
  });
  return chartFile(chart);
}
