import type { Gpu } from "../../kernels/runtime/device.ts";
import type { ExpertBalance } from "../../kernels/mixture-of-experts/expert-balance.ts";
import type { SlotMemory } from "../../kernels/soft-moe/causal-soft-moe.ts";
import type { RoutingUse } from "../../kernels/soft-moe/routing-use.ts";
import { orderTokens, type TokenOrder } from "../../kernels/layers/embedding.ts";
import type { Graph, Tensor } from "../../kernels/runtime/graph.ts";
import { layOutSequences, sequenceInputs, type Sequences } from "../../kernels/layers/sequences.ts";
import { upload } from "../../kernels/runtime/transfer.ts";

/** What the model reads: token rows, one sequence behind the other. */
export interface Batch {
  /** [tokens] u32. */
  readonly ids: Tensor;
  /** [tokens] u32: places in their sequences. */
  readonly positions: Tensor;
  /** Which rows belong to which sequence. */
  readonly sequences: Sequences;
  /** Needed in training only. */
  readonly order: TokenOrder;
  /** In training, the loss that keeps the choice of experts even, if the network chooses any. */
  readonly balance?: ExpertBalance;
  /** In validation, what takes down how layers divide tokens among slots or experts. */
  readonly use?: RoutingUse;
  /** In generation, what each layer that keeps something of a text has kept; others have none. */
  readonly memories?: readonly (SlotMemory | undefined)[];
  /** That of the layer that reads the batch. */
  readonly memory?: SlotMemory;
}

/** Declares a batch of `tokens` rows holding at most `sequences` sequences, none over `longest`. */
export function batchInputs(
  graph: Graph,
  tokens: number,
  sequences: number,
  longest = tokens,
): Batch {
  return {
    ids: graph.input("ids", [tokens], "u32"),
    positions: graph.input("positions", [tokens], "u32"),
    sequences: sequenceInputs(graph, tokens, sequences, longest),
    order: {
      distinct: graph.input("distinct tokens", [tokens], "u32"),
      starts: graph.input("starts of distinct tokens", [tokens + 1], "u32"),
      places: graph.input("places of tokens", [tokens], "u32"),
    },
  };
}

/**
 * Writes sequences of token ids into a batch; the rows left over are padding.
 *
 * @param prefix length of the first sequence where all others go on from it
 */
export function uploadBatch(
  gpu: Gpu,
  { ids, positions, sequences, order }: Batch,
  contents: readonly ArrayLike<number>[],
  prefix = 0,
): void {
  const rows = new Uint32Array(ids.size);
  let row = 0;
  for (const sequence of contents) {
    if (sequence.length > sequences.longest) {
      throw new RangeError(`a sequence of ${sequence.length} where ${sequences.longest} fit`);
    }
    rows.set(sequence, row);
    row += sequence.length;
  }
  const lengths = contents.map(({ length }) => length);
  const layout = layOutSequences(lengths, ids.size, sequences.count);
  for (let row = prefix; row < ids.size; row++) layout.positions[row] += prefix;
  upload(gpu, ids, rows);
  upload(gpu, positions, layout.positions);
  upload(gpu, sequences.bounds, layout.bounds);
  upload(gpu, sequences.index, layout.index);
  upload(gpu, sequences.starts, layout.starts);
  upload(gpu, sequences.ends, layout.ends);
  if (!order.distinct.storage.buffer) return; // no backward reads it
  const sorted = orderTokens(rows);
  upload(gpu, order.distinct, sorted.distinct);
  upload(gpu, order.starts, sorted.starts);
  upload(gpu, order.places, sorted.places);
}
