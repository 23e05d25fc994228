import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { addLoss, head, type HeadGradient, type HeadWeights } from "../../kernels/loss/head.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import type { MicroBatch, MicroBatchInputs } from "./micro-batch.ts";
import type { SumOverRanks } from "./sum-over-ranks.ts";

/** The end of the network, from which a loss is computed. */
export interface NetworkEnd extends MicroBatchInputs {
  /** Hidden states before the head, [tokens, hidden], f32 or f16. */
  readonly hidden: Tensor;
  /** The head's parameters. */
  readonly head: HeadWeights;
  /** In training, from what of the logits' gradient that of `hidden` is computed; all by default. */
  readonly headGradient?: HeadGradient;
}

/** What a stage minimizes: a mean over targets, which all have the same weight in a step. */
export interface Objective {
  /** Records the loss, added to `loss` [1], and in training the gradients of what it reads. */
  record(end: NetworkEnd, loss: Tensor): void;
  /** The number of targets in a micro-batch. */
  targets(microBatch: MicroBatch): number;
  /** Writes the inputs of the recorded loss, with `weight` as the weight of each target. */
  upload(gpu: Gpu, microBatch: MicroBatch, weight: number): void;
  /**
   * Means over the targets of the micro-batches since the last call.
   *
   * @param total adds up over all ranks, of which each has computed some of the micro-batches
   */
  measures(gpu: Gpu, total: SumOverRanks): Promise<Record<string, number>>;
}

/** The mean of −ln p over all labels, for pretraining and supervised fine-tuning. */
export class NextTokenObjective implements Objective {
  /** [tokens] f32. */
  #weights?: Tensor;

  /**
   * Takes the operator of the last layer.
   *
   * @param lastLayer computes the labels' log-probabilities and, in training, the gradients
   */
  constructor(private readonly lastLayer: typeof head = head) {}

  record({ hidden, head: table, labels, headGradient }: NetworkEnd, loss: Tensor): void {
    const { graph } = hidden;
    const weights = this.#weights = graph.input("loss weights", labels.shape);
    const trained = graph.training ? weights : undefined;
    addLoss(this.lastLayer(hidden, table, labels, trained, headGradient), weights, loss);
  }

  targets({ labels }: MicroBatch): number {
    let count = 0;
    for (const sequence of labels) {
      for (let i = 0; i < sequence.length; i++) count += Number(sequence[i] !== IGNORED_LABEL);
    }
    return count;
  }

  upload(gpu: Gpu, { labels }: MicroBatch, weight: number): void {
    const rows = new Float32Array(this.#weights!.size);
    let row = 0;
    for (const sequence of labels) {
      for (let i = 0; i < sequence.length; i++, row++) {
        if (sequence[i] !== IGNORED_LABEL) rows[row] = weight;
      }
    }
    upload(gpu, this.#weights!, rows);
  }

  measures(): Promise<Record<string, number>> {
    return Promise.resolve({});
  }
}
