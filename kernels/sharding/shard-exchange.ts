import type { Communicator } from "../ranks/communicator.ts";
import type { Capabilities, Gpu } from "../runtime/device.ts";
import { persistent, type Tensor } from "../runtime/graph.ts";
import type { MemoryNeed } from "../runtime/memory.ts";
import type { Draft } from "../runtime/plan.ts";
import { AllGather, type UpdateInParts } from "./all-gather.ts";
import type { ComputationInParts } from "./computation-in-parts.ts";
import {
  type ExchangeWords,
  type MicroBatchUses,
  ReduceScatter,
  type Traffic,
} from "./reduce-scatter.ts";
import type { ExchangeFormat, ShardPiece } from "./shards.ts";
import { chunkWords, incomingBytes, Staging } from "./staging.ts";

/** What ranks exchange in a step: gradients before the update, weights after it. */
export class ShardExchange {
  readonly #reduceScatter: ReduceScatter;
  readonly #allGather: AllGather;
  readonly #capacity: number;
  readonly #words: ExchangeWords;
  #staging?: Staging;

  /**
   * Records both.
   *
   * @param shards the pieces of every rank; their tensors have gradients
   * @param microBatch where a micro-batch uses which memory
   * @param isWhole whether every rank keeps a tensor whole in f32
   */
  constructor(
    capabilities: Capabilities,
    private readonly ranks: Communicator,
    shards: readonly (readonly ShardPiece[])[],
    format: ExchangeFormat,
    microBatch: MicroBatchUses,
    isWhole: (tensor: Tensor) => boolean,
  ) {
    const elements = shards[0].reduce((sum, { count }) => sum + count, 0);
    const capacity = this.#capacity = chunkWords(ranks.size, elements);
    const words = this.#words = {
      outgoing: persistent("exchange", "outgoing", [capacity], "u32"),
      incoming: persistent("exchange", "incoming", [(ranks.size - 1) * capacity], "u32"),
    };
    const all = [capabilities, ranks, shards, format, words, capacity, microBatch] as const;
    this.#reduceScatter = new ReduceScatter(...all);
    this.#allGather = new AllGather(...all, isWhole);
  }

  /** Its graphs. */
  get drafts(): Draft[] {
    return [...this.#reduceScatter.drafts, ...this.#allGather.drafts];
  }

  /**
   * What the buffers through which it takes need of the GPU's memory. They are counted also where they
   * lie in the host's, as with Deno's own WebGPU.
   */
  get stagingMemory(): MemoryNeed {
    const bytes = incomingBytes(this.ranks.size, this.#capacity);
    return { storages: [{ name: "taken chunks", arena: "exchange", bytes }], sharedBytes: 0 };
  }

  /** Bytes that this rank's GPU copies in a step. */
  get traffic(): { gradients: Traffic; weights: Traffic } {
    return { gradients: this.#reduceScatter.traffic, weights: this.#allGather.traffic };
  }

  /** Makes buffers and pipelines. @throws UserError when the device has too little memory */
  async build(gpu: Gpu): Promise<void> {
    await this.#reduceScatter.build(gpu);
    await this.#allGather.build(gpu);
    this.#staging = await Staging.of(gpu, this.ranks, this.#capacity);
  }

  /**
   * Adds up the gradients of all ranks at the rank of each piece, and sets them to zero elsewhere.
   * All ranks call it, when the weights of the step before have come.
   *
   * @param last the micro-batch that is still to be submitted; all of it is in the end
   */
  async addGradients(gpu: Gpu, last?: ComputationInParts): Promise<void> {
    await this.#reduceScatter.run(gpu, this.#staging!, last);
  }

  /**
   * Submits the update of this rank's pieces, and begins to bring the weights of all pieces to every
   * rank. All ranks call it.
   *
   * @returns when all of the update is submitted
   */
  async shareWeights(gpu: Gpu, update: UpdateInParts): Promise<void> {
    await this.#allGather.begin(gpu, this.#staging!, update);
  }

  /**
   * Waits until all weights are here as far as the GPU's queue is concerned.
   *
   * @param first the micro-batch that reads them: submitted as far as they have come
   * @returns seconds that the GPU had nothing of it to compute
   */
  async weightsSubmitted(gpu: Gpu, first?: ComputationInParts): Promise<number> {
    return await this.#allGather.submitted(gpu, first);
  }

  /** Waits until this rank's part in sharing weights has ended: others have what is theirs to take. */
  async weightsShared(): Promise<void> {
    await this.#allGather.ended();
  }

  /** Frees all memory. */
  destroy(): void {
    this.#staging?.destroy();
    this.#reduceScatter.destroy();
    this.#allGather.destroy();
    for (const { storage } of Object.values(this.#words)) storage.buffer?.destroy();
  }
}
