import type { Gpu } from "../kernels/device.ts";
import { Graph } from "../kernels/graph.ts";
import { head } from "../kernels/head.ts";
import { Draft, type Plan } from "../kernels/plan.ts";
import { sequenceLogProbs } from "../kernels/sequence-log-probs.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { download, upload } from "../kernels/transfer.ts";
import { type Batch, batchInputs, uploadBatch } from "../model/batch.ts";
import type { Parameters } from "../model/parameters.ts";
import { transformer } from "../model/steel.ts";
import { type Item, microBatchOf, type Room, tokensOf } from "./example-batches.ts";
import { labelRows } from "./label-rows.ts";

/** What a model makes of a sequence's labels. */
export interface SequenceScore {
  /** Σ ln p. */
  readonly logProb: number;
  /** Number of labels. */
  readonly labels: number;
}

/**
 * The forward pass of a training step alone, with the same kernels on the same number of rows: a
 * sequence gets the same bits here and there, wherever in a micro-batch it lies, but for attention
 * on tensor cores, which cuts it where tiles of the batch end.
 */
export class SequenceScorer {
  private constructor(
    private readonly gpu: Gpu,
    private readonly batch: Batch,
    private readonly labels: Tensor,
    private readonly sums: Tensor,
    private readonly plan: Plan,
  ) {}

  static async plan(gpu: Gpu, parameters: Parameters, room: Room): Promise<SequenceScorer> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const batch = batchInputs(graph, room.tokens, room.sequences, room.longest);
    const labels = graph.input("labels", [room.tokens], "u32");
    const logProbs = head(transformer(batch, parameters), parameters.head, labels);
    const sums = graph.keep(sequenceLogProbs(logProbs, labels, batch.sequences));
    return new SequenceScorer(gpu, batch, labels, sums, await new Draft(graph).build(gpu));
  }

  /** Scores of each item's sequences, by the parameters as they are now. */
  async score(items: Iterable<Item>): Promise<SequenceScore[][]> {
    const scores: SequenceScore[][] = [];
    for (const group of this.#groups(items)) {
      const { inputs, labels } = microBatchOf(group);
      uploadBatch(this.gpu, this.batch, inputs);
      upload(this.gpu, this.labels, labelRows(labels, this.labels.size));
      this.plan.run();
      const sums = await download(this.gpu, this.sums, 0, 2 * inputs.length);
      let at = 0;
      for (const item of group) {
        scores.push(item.map(() => ({ logProb: sums[at++], labels: sums[at++] })));
      }
    }
    return scores;
  }

  destroy(): void {
    this.plan.destroy();
  }

  /** As many items at a time as there is room for, in order. */
  *#groups(items: Iterable<Item>): Generator<Item[]> {
    const room = { tokens: this.labels.size, sequences: this.batch.sequences.count };
    let group: Item[] = [];
    let [tokens, sequences] = [0, 0];
    for (const item of items) {
      const length = tokensOf(item);
      if (tokens + length > room.tokens || sequences + item.length > room.sequences) {
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
