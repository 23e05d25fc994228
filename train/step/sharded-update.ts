import type { Gpu } from "../../kernels/runtime/device.ts";
import { sumsOfSquares } from "../../kernels/optimizer/gradient-norm.ts";
import type { Communicator } from "../../kernels/ranks/communicator.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import type { MemoryNeed } from "../../kernels/runtime/memory.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { gatherElements } from "../../kernels/sharding/gather-elements.ts";
import { ComputationInParts } from "../../kernels/sharding/computation-in-parts.ts";
import { Masters, type TrainedPiece, trainedPieces } from "../../kernels/sharding/masters.ts";
import { ShardExchange } from "../../kernels/sharding/shard-exchange.ts";
import { type ExchangeFormat, type ShardPiece, shardsOf } from "../../kernels/sharding/shards.ts";
import { sumOver } from "./sum-over-ranks.ts";

/** What is sharded of a parameter, as checkpoints keep it. */
export type ShardedValues = "value" | "mean" | "square";

/**
 * The part of a step that several ranks do together (ZeRO stage 2, arXiv 1910.02054): each updates a
 * shard of the weights, of which it alone keeps moments and f32 masters.
 */
export class ShardedUpdate {
  /** The pieces that this rank updates. */
  readonly trained: readonly TrainedPiece[];
  /** The graphs of the exchange and of the sums. */
  readonly drafts: readonly Draft[];
  readonly #shards: readonly (readonly ShardPiece[])[];
  readonly #exchange: ShardExchange;
  readonly #masters: Masters;
  readonly #squares: Tensor;
  #sums?: Plan;
  #update?: Draft;

  /**
   * Shares the tensors out, which must have their gradients.
   *
   * @param microBatch what reads the weights and makes the gradients
   */
  constructor(
    { capabilities }: Pick<Gpu, "capabilities">,
    private readonly ranks: Communicator,
    private readonly tensors: readonly Tensor[],
    microBatch: Draft,
    format: ExchangeFormat,
  ) {
    // In int8 all weights travel as updates, which each rank adds to its own f32.
    const isWhole = (tensor: Tensor) =>
      format === "int8" || !tensor.half || microBatch.lastUse(tensor.storage) >= 0;
    this.#shards = shardsOf(tensors, ranks.size);
    this.trained = trainedPieces(this.#shards[ranks.rank], isWhole, format);
    this.#masters = new Masters(tensors.filter((tensor) => !isWhole(tensor)), this.trained);
    this.#exchange = new ShardExchange(
      capabilities,
      ranks,
      this.#shards,
      format,
      microBatch,
      isWhole,
    );
    const sums = new Graph(capabilities);
    this.#squares = sums.keep(sumsOfSquares(sums, this.trained));
    this.drafts = [new Draft(sums), ...this.#exchange.drafts];
  }

  /** What the exchange's buffers need of the GPU's memory. */
  get staging(): MemoryNeed {
    return this.#exchange.stagingMemory;
  }

  /** Bytes that this rank's GPU copies in a step: what it gives, and what it takes. */
  get traffic(): ShardExchange["traffic"] {
    return this.#exchange.traffic;
  }

  /**
   * Makes buffers and pipelines.
   *
   * @param update what updates this rank's pieces
   * @throws UserError when the device has too little memory
   */
  async build(gpu: Gpu, update: Draft): Promise<void> {
    this.#update = update;
    this.#sums = await this.drafts[0].build(gpu);
    await this.#exchange.build(gpu);
  }

  /**
   * Adds up all ranks' gradients and losses. The loss tensor then holds the sum.
   *
   * @param loss [1] f32
   * @param squares [1] f32, filled with the square of the whole gradient's norm
   * @param last this rank's last micro-batch, if it has one: submitted here, bit by bit
   * @returns seconds that it took after the GPU had done all micro-batches
   */
  async addUp(gpu: Gpu, loss: Tensor, squares: Tensor, last?: ComputationInParts): Promise<number> {
    const began = performance.now();
    await this.#exchange.addGradients(gpu, last);
    this.#sums!.run();
    const [partial, [ownLoss]] = await Promise.all([
      download(gpu, this.#squares),
      download(gpu, loss),
    ]);
    const own = partial.reduce((sum, square) => sum + square, 0);
    const [allSquares, allLoss] = await sumOver(this.ranks)([own, ownLoss]);
    upload(gpu, squares, Float32Array.of(allSquares));
    upload(gpu, loss, Float32Array.of(allLoss));
    return (performance.now() - (await last?.finish() ?? began)) / 1000;
  }

  /**
   * Updates this rank's pieces and begins to bring every rank's weights to all.
   *
   * @param plan of the update's draft
   * @returns when all of the update is submitted
   */
  async update(gpu: Gpu, plan: Plan): Promise<void> {
    await this.#exchange.shareWeights(gpu, {
      computation: new ComputationInParts(gpu, plan),
      end: (tensor) => 1 + this.#update!.lastUse(tensor.gradient!.storage),
    });
  }

  /**
   * Waits until what is submitted next finds all weights.
   *
   * @param first the next step's first micro-batch: submitted as far as weights have come
   * @returns seconds that the GPU had nothing of it to compute
   */
  async weightsSubmitted(gpu: Gpu, first?: ComputationInParts): Promise<number> {
    return await this.#exchange.weightsSubmitted(gpu, first);
  }

  /** Waits until nothing of the weights is on its way any more. */
  async settle(): Promise<void> {
    await this.#exchange.weightsShared();
  }

  /** Fills the parameters and keeps what this rank needs. */
  async load(gpu: Gpu, fill: () => Promise<void>): Promise<void> {
    await this.#masters.load(gpu, fill);
  }

  /** Takes over parameters that are loaded already. */
  async takeOver(gpu: Gpu): Promise<void> {
    await this.#masters.takeOver(gpu);
  }

  /** Makes every rank's parameters whole again, for other uses than training. */
  async makeWhole(gpu: Gpu): Promise<void> {
    await this.settle();
    const all = Array.from({ length: this.ranks.size }, (_, rank) => rank);
    await this.#masters.makeWhole(async (tensor) => {
      const values = await this.read(gpu, "value", tensor, 0, tensor.size, all);
      upload(gpu, tensor, values!);
    });
  }

  /**
   * Reads elements of a tensor's sharded values. All ranks call it, in the same order.
   *
   * @param readers the ranks that get them
   * @returns undefined on other ranks
   */
  async read(
    gpu: Gpu,
    what: ShardedValues,
    tensor: Tensor,
    first: number,
    count: number,
    readers: readonly number[],
  ): Promise<Float32Array<ArrayBuffer> | undefined> {
    await this.settle(); // ranks must give and take in the same order
    const holdings = this.#shards.flatMap((pieces, rank) =>
      pieces.filter((piece) => piece.tensor === tensor).map((piece) => ({ ...piece, rank }))
    );
    const own = this.trained.find(({ piece }) => piece.tensor === tensor);
    return await gatherElements(
      this.ranks,
      holdings,
      { first, count },
      readers,
      (slice) => {
        const begins = what === "value" && own!.valueSlice ? 0 : own!.piece.first;
        return download(gpu, own![what], slice.first - begins, slice.count);
      },
    );
  }

  /** To be called when all is settled: frees what the exchange uses, and this rank's masters; weights and moments stay. */
  destroy(): void {
    this.#sums?.destroy();
    this.#exchange.destroy();
    this.#masters.destroy();
  }
}
