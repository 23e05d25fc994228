import {
  type BalancedExperts,
  ExpertBalance,
} from "../../kernels/mixture-of-experts/expert-balance.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { type Graph, persistent } from "../../kernels/runtime/graph.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { balancedExperts, type ModelConfig } from "../../model/network/config.ts";
import type { SumOverRanks } from "./sum-over-ranks.ts";

/**
 * The loss that keeps experts evenly used, beside a step's own objective: each micro-batch counts as
 * much as its share of the step's targets.
 */
export class BalanceObjective {
  /** What the layers of the network read. */
  readonly loss: ExpertBalance;
  readonly #sum = persistent("outputs", "balance", [1]);

  /** @param weight beside the loss of the tokens */
  private constructor(graph: Graph, sizes: BalancedExperts, private readonly weight: number) {
    this.loss = new ExpertBalance(graph, sizes);
  }

  /** Declares it in a graph recorded for training; undefined for a network that has no such experts. */
  static of(graph: Graph, config: ModelConfig): BalanceObjective | undefined {
    const sizes = balancedExperts(config);
    return sizes && new BalanceObjective(graph, sizes, sizes.balanceWeight);
  }

  /** Records it: behind the network, before the gradients. */
  record(): void {
    this.loss.finish(this.#sum);
  }

  /**
   * Writes the weight of a micro-batch.
   *
   * @param share of the step's targets
   */
  upload(gpu: Gpu, share: number, lossScale: number): void {
    upload(gpu, this.loss.weights, Float32Array.of(this.weight * share * lossScale, share));
  }

  /** Its mean over the micro-batches since the last call: with even use, the experts of a token. */
  async measures(gpu: Gpu, total: SumOverRanks): Promise<Record<string, number>> {
    const [balance] = await total(await download(gpu, this.#sum));
    upload(gpu, this.#sum, new Float32Array(1));
    return { balance };
  }
}
