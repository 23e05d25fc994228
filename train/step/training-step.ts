import {
  adamW,
  type AdamWOptions,
  adamWRates,
  giveGradient,
  trainable,
  type Trained,
} from "../../kernels/optimizer/adamw.ts";
import { clipReport, REPORT, sumsOfSquares } from "../../kernels/optimizer/gradient-norm.ts";
import type { HeadGradient } from "../../kernels/loss/head.ts";
import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import {
  allocate,
  type MemoryNeed,
  type MemoryReport,
  memoryReport,
  missingBytes,
  requireRoom,
} from "../../kernels/runtime/memory.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import type { ElementRange } from "../../kernels/runtime/read-back.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { ComputationInParts } from "../../kernels/sharding/computation-in-parts.ts";
import type { Traffic } from "../../kernels/sharding/reduce-scatter.ts";
import type { ExchangeFormat } from "../../kernels/sharding/shards.ts";
import type { Parameters, Part } from "../../model/network/parameters.ts";
import { transformer } from "../../model/network/transformer.ts";
import { ownPart } from "../batches/own-part.ts";
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
import { ShardedUpdate, type ShardedValues } from "./sharded-update.ts";
import { sumOver } from "./sum-over-ranks.ts";

/** What a training step is planned for. */
export interface StepOptions extends AdamWOptions, Room {
  /** The largest norm of the whole gradient; a larger one is scaled down. */
  readonly clip: number;
  /** Compute each layer's activations again in the backward pass: less memory, more time. */
  readonly recompute?: boolean;
  /** From what of the logits' gradient the hidden states' gradient is computed; all by default. */
  readonly headGradient?: HeadGradient;
  /** What to minimize; the mean of −ln p over every label when left out. */
  readonly objective?: Objective;
  /** The processes that share each step out, one a GPU; this one alone when left out. */
  readonly ranks?: Communicator;
  /** How gradients and weights travel between ranks; f32 when left out. */
  readonly exchange?: ExchangeFormat;
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
  /** Seconds in which the step waited for other ranks and for bytes to and from them. */
  readonly waited: {
    /** With the GPU's part of the step computed, for the sum of the gradients. */
    readonly gradients: number;
    /** At its beginning, for the weights that the step before has updated. */
    readonly weights: number;
  };
}

/**
 * A whole training step, planned once: forward and backward pass of each micro-batch, then clipping
 * and AdamW. Of several ranks, each computes a part of the micro-batches and updates a part of the
 * weights; all call the same methods in the same order.
 */
export class TrainingStep {
  #staged?: { microBatch: MicroBatch; commands?: GPUCommandBuffer };
  /** While the inputs are still needed: what is to be staged after. */
  #upcoming?: MicroBatch;
  #areInputsNeeded = false;

  private constructor(
    private readonly gpu: Gpu,
    private readonly options: StepOptions,
    private readonly ranks: Communicator,
    private readonly objectives: { objective: Objective; balance?: BalanceObjective },
    private readonly tensors: MicroBatchInputs & StepTensors,
    /** The plan that runs for each micro-batch, and the one that runs once per step. */
    readonly plans: { microBatch: Plan; update: Plan },
    /** What the loss is multiplied by in mixed precision. */
    readonly lossScale: LossScale,
    /** AdamW's state: of every parameter tensor, or of the pieces that this rank updates. */
    readonly trained: readonly Trained[],
    private readonly sharded: ShardedUpdate | undefined,
    /** The memory of the whole step. */
    readonly memory: MemoryReport,
  ) {}

  /**
   * Plans a step, reports the memory that it needs, and then allocates it.
   *
   * @param announce called before anything is allocated with the memory, and with how much of it is not
   *   there yet: the weights of fine-tuning are
   * @throws UserError if the device has too little memory
   */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    options: StepOptions,
    announce: (memory: MemoryReport, missing: number) => void = () => {},
  ): Promise<TrainingStep> {
    const { tensors } = parameters;
    using unfinished = new DisposableStack();
    unfinished.defer(() => freeGradients(tensors));
    const record = recordStep(gpu, parameters, options);
    const { drafts, trained, sharded } = record;
    const needs = memoryNeeds(record);
    const memory = memoryReport(needs);
    const missing = missingBytes(needs);
    announce(memory, missing);
    requireRoom(gpu, missing);
    for (const draft of drafts) draft.compile(gpu);
    unfinished.defer(() => sharded?.destroy());
    await sharded?.takeOver(gpu);
    // Everything that lasts comes first, so that too little memory shows before pipelines are built.
    unfinished.defer(() => freeMoments(trained));
    const lasting = [...tensors.map(({ gradient }) => gradient!), ...trained.flatMap(tensorsOf)];
    await allocate(gpu, lasting.map(({ storage }) => storage));
    const microBatch = await record.microBatch.build(gpu);
    unfinished.defer(() => microBatch.destroy());
    const plans = { microBatch, update: await record.update.build(gpu) };
    unfinished.defer(() => plans.update.destroy());
    await sharded?.build(gpu, record.update);
    unfinished.move();
    const all = { ...record.tensors, dropoutSeed: parameters.dropoutSeed, parameters: tensors };
    return new TrainingStep(
      gpu,
      options,
      options.ranks ?? aloneOn(""),
      record.objectives,
      all,
      plans,
      new LossScale(parameters.mixed),
      trained,
      sharded,
      memory,
    );
  }

  /** The memory of a step as it would be planned; nothing is allocated, and no ranks are called. */
  static plannedMemory(gpu: Gpu, parameters: Parameters, options: StepOptions): MemoryReport {
    using _ = { [Symbol.dispose]: () => freeGradients(parameters.tensors) };
    return memoryReport(memoryNeeds(recordStep(gpu, parameters, options)));
  }

  /** Fills the parameters: `fill` calls their `load`. */
  async load(fill: () => Promise<void>): Promise<void> {
    if (this.sharded) await this.sharded.load(this.gpu, fill);
    else await fill();
  }

  /**
   * Prepares the first of a step's micro-batches while the GPU still works on the step before: all
   * but the weights of its targets, which depend on that step. Not required, but the GPU waits less.
   */
  stage(microBatches: readonly MicroBatch[]): void {
    const [first] = ownPart(microBatches, this.ranks);
    if (this.#areInputsNeeded) this.#upcoming = first;
    else if (first) this.#stage(first);
  }

  #stage(microBatch: MicroBatch): void {
    uploadMicroBatch(this.gpu, this.tensors, microBatch);
    // With others, it leaves in parts: see ComputationInParts.
    const commands = this.sharded ? undefined : this.plans.microBatch.encode();
    this.#staged = { microBatch, commands };
  }

  /**
   * Accumulates a micro-batch's gradients, with `weight` as the weight of each target. Of several
   * ranks, {@linkcode TrainingStep.run} does it.
   *
   * @param step for dropout, which drops other inputs in every step
   */
  accumulate(microBatch: MicroBatch, weight: number, step = 0): void {
    const { plans } = this;
    const commands = this.#fill(microBatch, weight, step) ?? plans.microBatch.encode();
    plans.microBatch.submit(commands);
  }

  /** Writes all inputs of a micro-batch. @returns its commands, if they are encoded already */
  #fill(microBatch: MicroBatch, weight: number, step: number): GPUCommandBuffer | undefined {
    if (this.#staged?.microBatch !== microBatch) this.#stage(microBatch);
    const { commands } = this.#staged!;
    this.#staged = undefined;
    const { objective, balance } = this.objectives;
    const { dropoutSeed } = this.tensors;
    if (dropoutSeed) upload(this.gpu, dropoutSeed, Uint32Array.of(seedOf(microBatch, step)));
    objective.upload(this.gpu, microBatch, weight * this.lossScale.value);
    balance?.upload(this.gpu, weight * objective.targets(microBatch), this.lossScale.value);
    return commands;
  }

  /**
   * Clips the accumulated gradients, updates the weights and sets the gradients to zero. Of several
   * ranks, {@linkcode TrainingStep.run} does it.
   *
   * @param step counted from 1
   */
  update(learningRate: number, step: number): Promise<StepReport> {
    return this.#update(learningRate, step, { gradients: 0, weights: 0 });
  }

  async #update(
    learningRate: number,
    step: number,
    waited: StepReport["waited"],
  ): Promise<StepReport> {
    const { gpu, sharded, tensors } = this;
    const { objective, balance } = this.objectives;
    const lossScale = this.lossScale.value;
    upload(gpu, tensors.rates, adamWRates(learningRate, step, this.options, lossScale));
    if (sharded) await sharded.update(gpu, this.plans.update);
    else this.plans.update.run();
    const running = download(gpu, tensors.report);
    running.catch(() => {}); // thrown below, if nothing else is before
    const report = await running;
    const total = sumOver(this.ranks);
    const finite = report[REPORT.finite] === 1;
    return {
      loss: report[REPORT.loss],
      measures: {
        ...await objective.measures(gpu, total),
        ...await balance?.measures(gpu, total),
      },
      gradientNorm: report[REPORT.gradientNorm],
      finite,
      usable: this.lossScale.update(finite),
      weightsFinite: (await total([1 - report[REPORT.weightsFinite]]))[0] === 0,
      lossScale,
      waited,
    };
  }

  /**
   * Runs a whole step over some micro-batches, of which each rank takes its own part. All targets
   * have the same weight: 8 × 1 and 4 × 2 are the same step. When it resolves, new weights may still
   * be on their way from other ranks: this step waits for them where it needs them, and
   * {@linkcode TrainingStep.settle} for others.
   */
  async run(
    microBatches: readonly MicroBatch[],
    learningRate: number,
    step: number,
  ): Promise<StepReport> {
    const targets = microBatches.reduce(
      (sum, batch) => sum + this.objectives.objective.targets(batch),
      0,
    );
    const weight = 1 / Math.max(1, targets);
    const own = ownPart(microBatches, this.ranks);
    if (this.sharded) {
      const waited = await this.#accumulateWithOthers(this.sharded, own, weight, step);
      return await this.#update(learningRate, step, waited);
    }
    for (const batch of own) this.accumulate(batch, weight, step);
    return await this.#update(learningRate, step, { gradients: 0, weights: 0 });
  }

  /** Accumulates this rank's micro-batches while weights come, and adds up all ranks' gradients. */
  async #accumulateWithOthers(
    sharded: ShardedUpdate,
    own: readonly MicroBatch[],
    weight: number,
    step: number,
  ): Promise<StepReport["waited"]> {
    const { gpu, tensors, plans } = this;
    this.#areInputsNeeded = true;
    let last: ComputationInParts | undefined;
    let weights: number | undefined;
    for (const microBatch of own) {
      if (last) {
        last.upTo(Infinity);
        await sharded.settle(); // encoding takes the host's time, for which others would wait
      }
      this.#fill(microBatch, weight, step);
      last = new ComputationInParts(gpu, plans.microBatch);
      weights ??= await sharded.weightsSubmitted(gpu, last);
    }
    weights ??= await sharded.weightsSubmitted(gpu);
    const gradients = await sharded.addUp(gpu, tensors.loss, tensors.squares, last);
    this.#areInputsNeeded = false;
    if (this.#upcoming) this.#stage(this.#upcoming);
    this.#upcoming = undefined;
    return { gradients, weights };
  }

  /** Bytes that this rank's GPU copies in a step, if there are others. */
  get traffic(): { gradients: Traffic; weights: Traffic } | undefined {
    return this.sharded?.traffic;
  }

  /** Waits until all weights are here that other ranks have updated: before others use them. */
  async settle(): Promise<void> {
    await this.sharded?.settle();
  }

  /** Whether other ranks have some of the weights and moments. */
  get isSharded(): boolean {
    return this.sharded !== undefined;
  }

  /** Where the weights or moments of a published parameter are, if they are not sharded. */
  locate({ tensor, first, shape }: Part, what: ShardedValues): ElementRange {
    const trained = this.trained.find(({ value }) => value === tensor)!;
    return { tensor: trained[what], first, count: sizeOf(shape) };
  }

  /**
   * The present weights or moments of a published parameter, if they are sharded. All ranks call it,
   * in the same order.
   *
   * @returns undefined on other ranks than the first
   */
  gather(
    { tensor, first, shape }: Part,
    what: ShardedValues,
  ): Promise<Float32Array<ArrayBuffer> | undefined> {
    return this.sharded!.read(this.gpu, what, tensor, first, sizeOf(shape), [0]);
  }

  /** Makes the parameters usable for other things than this step, which cannot run any more. */
  async release(): Promise<void> {
    await this.sharded?.makeWhole(this.gpu);
  }

  /** Frees all memory of training but the parameters. */
  destroy(): void {
    this.plans.microBatch.destroy();
    this.plans.update.destroy();
    this.sharded?.destroy();
    freeMoments(this.trained);
    freeGradients(this.tensors.parameters);
  }
}

/** Records a step's graphs; the parameters have gradients then. */
function recordStep(gpu: Gpu, parameters: Parameters, options: StepOptions) {
  const { ranks = aloneOn(""), exchange = "f32" } = options;
  const { tensors } = parameters;
  for (const tensor of tensors) giveGradient(tensor);
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
  const { headGradient } = options;
  objective.record({ ...inputs, hidden, head: parameters.head, headGradient }, loss);
  balance?.record();
  forward.backward();

  const microBatch = new Draft(forward);
  const sharded = ranks.size > 1
    ? new ShardedUpdate(gpu, ranks, tensors, microBatch, exchange)
    : undefined;
  const trained = sharded?.trained ?? tensors.map(trainable);
  const graph = new Graph(gpu.capabilities);
  const rates = graph.input("rates", [4]);
  const squares = sharded ? graph.input("squares", [1]) : sumsOfSquares(graph, trained);
  const report = clipReport(graph, squares, loss, rates, options.clip);
  for (const parameter of trained) adamW(graph, parameter, rates, report, options);

  const update = new Draft(graph);
  return {
    tensors: { ...inputs, rates, loss, squares, report },
    objectives: { objective, balance },
    microBatch,
    update,
    trained,
    sharded,
    drafts: [microBatch, update, ...sharded?.drafts ?? []],
  };
}

/** What a step needs of memory: its graphs, and the buffers through which ranks exchange. */
function memoryNeeds(
  { drafts, sharded }: { readonly drafts: readonly Draft[]; readonly sharded?: ShardedUpdate },
): MemoryNeed[] {
  return [...drafts, ...sharded ? [sharded.staging] : []];
}

/** The tensors of a step beside its micro-batch. */
interface StepTensors {
  /** [4] f32. */
  readonly rates: Tensor;
  /** [1] f32. */
  readonly loss: Tensor;
  /** Sums of squares of the gradients. */
  readonly squares: Tensor;
  readonly report: Tensor;
  /** [1] u32, where there is dropout. */
  readonly dropoutSeed?: Tensor;
  /** What is trained. */
  readonly parameters: readonly Tensor[];
}

function tensorsOf({ value, mean, square, half }: Trained): Tensor[] {
  return [value, mean, square, ...half ? [half] : []];
}

function freeMoments(trained: readonly Trained[]): void {
  for (const { mean, square } of trained) {
    for (const { storage } of [mean, square]) storage.buffer?.destroy();
  }
}

function freeGradients(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    tensor.gradient?.storage.buffer?.destroy();
    tensor.gradient = undefined;
  }
}
