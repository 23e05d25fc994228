import type { BlockSource } from "../../data/blocks.ts";
import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { MicroBatch } from "../step/micro-batch.ts";
import type { StepSource } from "./step-source.ts";

/** Steps of pretraining: blocks of a corpus, each token the label of the one before it. */
export class BlockBatches implements StepSource {
  /**
   * Continues from the position of the blocks.
   *
   * @param microBatch blocks of a micro-batch
   * @param accumulation micro-batches of a step
   * @param padding the token that fills up blocks; the loss ignores it
   */
  constructor(
    private readonly blocks: BlockSource,
    private readonly microBatch: number,
    private readonly accumulation: number,
    private readonly padding?: number,
  ) {}

  /** The micro-batches of the next step. */
  next(): MicroBatch[] {
    return Array.from(
      { length: this.accumulation },
      () =>
        microBatchOfBlocks(
          Array.from({ length: this.microBatch }, () => this.blocks.next()),
          this.padding,
        ),
    );
  }

  /** The position of the blocks. */
  position(): unknown {
    return this.blocks.position();
  }
}

/**
 * A micro-batch of blocks: all tokens but the last are inputs, all but the first their labels.
 *
 * @param blocks int32 [seq + 1] each
 * @param padding the token that fills up blocks; the loss ignores it
 */
export function microBatchOfBlocks(blocks: readonly Int32Array[], padding?: number): MicroBatch {
  return {
    inputs: blocks.map((block) => block.subarray(0, -1)),
    labels: blocks.map((block) =>
      block.subarray(1).map((token) => token === padding ? IGNORED_LABEL : token)
    ),
  };
}

/** Blocks in micro-batches of `rows` blocks each, in order; the last one may have fewer. */
export function microBatchesOfBlocks(
  blocks: readonly Int32Array[],
  rows: number,
  padding?: number,
): MicroBatch[] {
  return Array.from(
    { length: Math.ceil(blocks.length / rows) },
    (_, i) => microBatchOfBlocks(blocks.slice(i * rows, (i + 1) * rows), padding),
  );
}
