import type { BlockSource } from "../../data/blocks.ts";
import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import type { StepSource } from "../run/loop.ts";
import type { MicroBatch } from "../step/micro-batch.ts";

/** Steps of pretraining: blocks of a corpus, each token the label of the one before it. */
export class BlockBatches implements StepSource {
  constructor(
    private readonly blocks: BlockSource,
    private readonly microBatch: number,
    private readonly accumulation: number,
    private readonly padding?: number,
  ) {}

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

  position(): unknown {
    return this.blocks.position();
  }
}

/**
 * Blocks of seq + 1 tokens as inputs and the labels behind them.
 *
 * @param padding the token that fills blocks up, which the loss leaves out
 */
export function microBatchOfBlocks(blocks: readonly Int32Array[], padding?: number): MicroBatch {
  return {
    inputs: blocks.map((block) => block.subarray(0, -1)),
    labels: blocks.map((block) =>
      block.subarray(1).map((token) => token === padding ? IGNORED_LABEL : token)
    ),
  };
}
