import type { Gpu } from "../../kernels/runtime/device.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { head } from "../../kernels/loss/head.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { sequenceLogProbs } from "../../kernels/loss/sequence-log-probs.ts";
import { download } from "../../kernels/runtime/transfer.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import { transformer } from "../../model/network/transformer.ts";
import { type Item, microBatchOfItems, tokensOf } from "../batches/example-batches.ts";
import {
  type MicroBatchInputs,
  microBatchInputs,
  type Room,
  uploadMicroBatch,
} from "./micro-batch.ts";

/** The score of a sequence's labels. */
export interface SequenceScore {
  /** Σ ln p. */
  readonly logProb: number;
  /** Number of labels. */
  readonly labels: number;
}

/**
 * The forward pass of a training step, with the same kernels and the same number of rows. A sequence
 * gets the same bits as in training, wherever it lies in a micro-batch; the exception is attention on
 * tensor cores, which splits it where tiles of the batch end.
 */
export class SequenceScorer {
  private constructor(
    private readonly gpu: Gpu,
    private readonly room: Room,
    private readonly inputs: MicroBatchInputs,
    /** [sequences, 2] f32: sum and number of the labels' log-probabilities. */
    private readonly sums: Tensor,
    private readonly plan: Plan,
  ) {}

  static async plan(gpu: Gpu, parameters: Parameters, room: Room): Promise<SequenceScorer> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const inputs = microBatchInputs(graph, room);
    const { batch, labels } = inputs;
    const logProbs = head(transformer(batch, parameters), parameters.head, labels);
    const sums = graph.keep(sequenceLogProbs(logProbs, labels, batch.sequences));
    return new SequenceScorer(gpu, room, inputs, sums, await new Draft(graph).build(gpu));
  }

  /**
   * Scores each item's sequences with the present values of the parameters.
   *
   * @param onScored called after each micro-batch with the number of items that have their scores
   */
  async score(
    items: Iterable<Item>,
    onScored?: (items: number) => void,
  ): Promise<SequenceScore[][]> {
    const scores: SequenceScore[][] = [];
    for (const group of this.#groups(items)) {
      const microBatch = microBatchOfItems(group);
      uploadMicroBatch(this.gpu, this.inputs, microBatch);
      this.plan.run();
      const sums = await download(this.gpu, this.sums, 0, 2 * microBatch.inputs.length);
      let at = 0;
      for (const item of group) {
        scores.push(item.map(() => ({ logProb: sums[at++], labels: sums[at++] })));
      }
      onScored?.(scores.length);
    }
    return scores;
  }

  destroy(): void {
    this.plan.destroy();
  }

  /** Groups of as many items as fit, in order. */
  *#groups(items: Iterable<Item>): Generator<Item[]> {
    let group: Item[] = [];
    let [tokens, sequences] = [0, 0];
    for (const item of items) {
      const length = tokensOf(item);
      if (tokens + length > this.room.tokens || sequences + item.length > this.room.sequences) {
        yield group;
        group = [];
        [tokens, sequences] = [0, 0];
      }
      group.push(item);
      tokens += length;
      sequences += item.length;
    }
    if (group.length > 0) yield group;
  }
}
