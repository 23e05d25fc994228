import {
  adamW,
  type AdamWOptions,
  adamWRates,
  trainable,
  type Trained,
} from "../../kernels/optimizer/adamw.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { gradientNorm, REPORT } from "../../kernels/optimizer/gradient-norm.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import {
  allocate,
  type MemoryReport,
  memoryReport,
  missingBytes,
  requireRoom,
} from "../../kernels/runtime/memory.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { transformer } from "../../model/network/transformer.ts";
import { BalanceObjective } from "./balance-objective.ts";
import { LossScale } from "./loss-scale.ts";
import {
  type MicroBatch,
  type MicroBatchInputs,
  microBatchInputs,
  type Room,
  seedOf,
  uploadMicroBatch,
} from "./micro-batch.ts";
import { NextTokenObjective, type Objective } from "./objective.ts";

/** What a training step is planned for. */
export interface StepOptions extends AdamWOptions, Room {
  /** The largest norm of the whole gradient; a larger one is scaled down. */
  readonly clip: number;
  /** Compute each layer's activations again in the backward pass: less memory, more time. */
  readonly recompute?: boolean;
  /** What to minimize; the mean of −ln p over every label when left out. */
  readonly objective?: Objective;
}

/** The outcome of a step. */
export interface StepReport {
  /** Mean over the step's targets. */
  readonly loss: number;
  /** What else the objective measured, by name. */
  readonly measures: Record<string, number>;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** False if loss or gradient was NaN or infinite; nothing was updated then. */
  readonly finite: boolean;
  /** False if, in addition, a smaller loss scale cannot help. */
  readonly usable: boolean;
  /** False if the update made a weight NaN or infinite (in mixed precision, in f16). */
  readonly weightsFinite: boolean;
  /** What the loss was multiplied by during the step. */
  readonly lossScale: number;
}

/**
 * A whole training step, planned once: forward and backward pass of each micro-batch, then clipping
 * and AdamW.
 */
export class TrainingStep {
  #staged?: { microBatch: MicroBatch; commands: GPUCommandBuffer };

  private constructor(
    private readonly gpu: Gpu,
    private readonly options: StepOptions,
    private readonly objectives: { objective: Objective; balance?: BalanceObjective },
    private readonly inputs: MicroBatchInputs & {
      readonly rates: Tensor;
      readonly dropoutSeed?: Tensor;
    },
    private readonly report: Tensor,
    /** The plan that runs for each micro-batch, and the one that runs once per step. */
    readonly plans: { microBatch: Plan; update: Plan },
    /** What the loss is multiplied by in mixed precision. */
    readonly lossScale: LossScale,
    /** AdamW's state, by parameter tensor. */
    readonly trained: readonly Trained[],
    /** The memory of the whole step. */
    readonly memory: MemoryReport,
  ) {}

  /**
   * Plans a step, reports the memory that it needs, and then allocates it.
   *
   * @param announce called with the memory, before anything is allocated
   * @throws UserError if the device has too little memory
   */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    options: StepOptions,
    announce: (memory: MemoryReport) => void = () => {},
  ): Promise<TrainingStep> {
    const trained = parameters.tensors.map(trainable);
    using unfinished = new DisposableStack();
    unfinished.defer(() => freeTrained(trained));
    const loss = persistent("outputs", "loss", [1]);

    const forward = new Graph(gpu.capabilities, {
      training: true,
      mixed: parameters.mixed,
      recompute: options.recompute,
    });
    const inputs = microBatchInputs(forward, options);
    const balance = BalanceObjective.of(forward, parameters.config);
    const batch = { ...inputs.batch, balance: balance?.loss };
    const hidden = transformer(batch, parameters);
    const objective = options.objective ?? new NextTokenObjective();
    objective.record({ ...inputs, hidden, head: parameters.head }, loss);
    balance?.record();
    forward.backward();

    const update = new Graph(gpu.capabilities);
    const rates = update.input("rates", [4]);
    const gradients = trained.map(({ gradient }) => gradient);
    const report = gradientNorm(update, gradients, loss, rates, options.clip);
    for (const parameter of trained) adamW(update, parameter, rates, report, options);

    const drafts = { microBatch: new Draft(forward), update: new Draft(update) };
    const memory = memoryReport(Object.values(drafts));
    announce(memory);
    requireRoom(gpu, missingBytes(Object.values(drafts)));
    // Everything that lasts comes first, so that too little memory shows before pipelines are built.
    const lasting = trained.flatMap((each) => Object.values(each)).filter((t) => t !== undefined);
    await allocate(gpu, lasting.map(({ storage }) => storage));
    const microBatch = await drafts.microBatch.build(gpu);
    unfinished.defer(() => microBatch.destroy());
    const plans = { microBatch, update: await drafts.update.build(gpu) };
    unfinished.move();
    const all = { ...inputs, rates, dropoutSeed: parameters.dropoutSeed };
    const objectives = { objective, balance };
    const scale = new LossScale(parameters.mixed);
    return new TrainingStep(gpu, options, objectives, all, report, plans, scale, trained, memory);
  }

  /**
   * Prepares a micro-batch while the GPU still works on the step before: all but the weights of its
   * targets, which depend on that step. Not required, but the GPU waits less.
   */
  stage(microBatch: MicroBatch): void {
    uploadMicroBatch(this.gpu, this.inputs, microBatch);
    this.#staged = { microBatch, commands: this.plans.microBatch.encode() };
  }

  /**
   * Accumulates a micro-batch's gradients, with `weight` as the weight of each target.
   *
   * @param step for dropout, which drops other inputs in every step
   */
  accumulate(microBatch: MicroBatch, weight: number, step = 0): void {
    if (this.#staged?.microBatch !== microBatch) this.stage(microBatch);
    const { objective, balance } = this.objectives;
    const { dropoutSeed } = this.inputs;
    if (dropoutSeed) upload(this.gpu, dropoutSeed, Uint32Array.of(seedOf(microBatch, step)));
    objective.upload(this.gpu, microBatch, weight * this.lossScale.value);
    balance?.upload(this.gpu, weight * objective.targets(microBatch), this.lossScale.value);
    this.plans.microBatch.submit(this.#staged!.commands);
    this.#staged = undefined;
  }

  /**
   * Clips the accumulated gradients, updates the weights and sets the gradients to zero.
   *
   * @param step counted from 1
   */
  async update(learningRate: number, step: number): Promise<StepReport> {
    const { objective, balance } = this.objectives;
    const lossScale = this.lossScale.value;
    const rates = adamWRates(learningRate, step, this.options, lossScale);
    upload(this.gpu, this.inputs.rates, rates);
    this.plans.update.run();
    const report = await download(this.gpu, this.report);
    const finite = report[REPORT.finite] === 1;
    return {
      loss: report[REPORT.loss],
      measures: { ...await objective.measures(this.gpu), ...await balance?.measures(this.gpu) },
      gradientNorm: report[REPORT.gradientNorm],
      finite,
      usable: this.lossScale.update(finite),
      weightsFinite: report[REPORT.weightsFinite] === 1,
      lossScale,
    };
  }

  /**
   * Runs a whole step over some micro-batches. All targets have the same weight: 8 × 1 and 4 × 2 are
   * the same step.
   */
  run(
    microBatches: readonly MicroBatch[],
    learningRate: number,
    step: number,
  ): Promise<StepReport> {
    const targets = microBatches.reduce(
      (sum, batch) => sum + this.objectives.objective.targets(batch),
      0,
    );
    for (const batch of microBatches) this.accumulate(batch, 1 / Math.max(1, targets), step);
    return this.update(learningRate, step);
  }

  /** Frees all memory of training but the parameters. */
  destroy(): void {
    this.plans.microBatch.destroy();
    this.plans.update.destroy();
    freeTrained(this.trained);
  }
}

function freeTrained(trained: readonly Trained[]): void {
  for (const { value, gradient, mean, square } of trained) {
    value.gradient = undefined;
    for (const { storage } of [gradient, mean, square]) storage.buffer?.destroy();
  }
}
