import { ShardBlocks } from "../../data/shards/shard-blocks.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import type { ModelConfig } from "../../model/network/config.ts";
import type { PartValues } from "../../model/network/parameters.ts";
import { microBatchOfBlocks } from "../batches/block-batches.ts";
import { benchmarkModel, randomWeights } from "./benchmark-model.ts";
import { type MicroBatches, randomMicroBatches } from "./step-benchmark.ts";

/** What is measured: a network with its weights, and what it reads. */
export interface Workload extends Disposable {
  readonly config: ModelConfig;
  /** Tokens of a sequence. */
  readonly sequence: number;
  readonly weights: PartValues;
  readonly microBatches: MicroBatches;
  /** Where weights and tokens come from, for people. */
  readonly origin: string;
}

/** The benchmark's model with random weights, on random tokens. */
export async function randomWorkload(small: boolean): Promise<Workload> {
  const { config, sequence } = await benchmarkModel(small);
  return {
    config,
    sequence,
    weights: randomWeights,
    microBatches: randomMicroBatches({ config }),
    origin: "random weights, random tokens",
    [Symbol.dispose]() {},
  };
}

/**
 * A checkpoint on blocks of real text, for what depends on what a model has learnt.
 *
 * @param model folder of the checkpoint, or of a training run for its newest one
 * @param data folder of shards, of which every block is read in a random order
 * @throws UserError if one of them is damaged, or if the checkpoint does not know the tokens
 */
export async function trainedWorkload(
  model: string,
  data: string,
  small: boolean,
): Promise<Workload> {
  using opened = new DisposableStack();
  const checkpoint = await openCheckpoint(model);
  opened.defer(() => checkpoint.close());
  const { config } = checkpoint;
  const sequence = Math.min((await benchmarkModel(small)).sequence, config.maxPositions);
  const options = { dirs: [data], blockLength: sequence + 1, seed: 0 };
  const blocks = opened.use(await ShardBlocks.open(options));
  const knownBlock = () => {
    const block = blocks.next();
    const unknown = block.find((token) => token < 0 || token >= config.vocabSize);
    if (unknown === undefined) return block;
    throw new UserError(
      `--data: ${data} holds the token ${unknown}, but the model in ${model} knows ` +
        `${config.vocabSize}: give shards made with its tokenizer`,
    );
  };
  const closing = opened.move();
  return {
    config,
    sequence,
    weights: ({ name }) => checkpoint.readFloat32(name),
    microBatches: ({ microBatch }) =>
      microBatchOfBlocks(Array.from({ length: microBatch }, knownBlock), blocks.paddingToken),
    origin: `weights of ${checkpoint.dir}, text of ${data}`,
    [Symbol.dispose]: () => closing.dispose(),
  };
}
