import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Graph, Tensor } from "../../kernels/runtime/graph.ts";
import { type Batch, batchInputs, uploadBatch } from "../../model/network/batch.ts";
import { uploadLabels } from "../../model/network/labels.ts";
import type { Extent } from "../batches/first-fit.ts";

/** Rows that go through the network at once. */
export interface MicroBatch {
  /** Token ids of each sequence. */
  readonly inputs: readonly ArrayLike<number>[];
  /** The token that should follow each of them, or -100 where the loss does not look. */
  readonly labels: readonly ArrayLike<number>[];
  /** Log-probability of each sequence's labels under a reference model, where a loss asks for it. */
  readonly references?: readonly number[];
}

/** What a micro-batch has room for. */
export interface Room extends Extent {
  /** The most tokens of a sequence, as kernels may count on; all of them when left out. */
  readonly longest?: number;
}

/** What a plan reads of a micro-batch. */
export interface MicroBatchInputs {
  readonly batch: Batch;
  /** [tokens] u32: the token that should follow, or IGNORED. */
  readonly labels: Tensor;
}

/** Declares what a plan reads of micro-batches that fit into the room. */
export function microBatchInputs(
  graph: Graph,
  { tokens, sequences, longest }: Room,
): MicroBatchInputs {
  const batch = batchInputs(graph, tokens, sequences, longest);
  return { batch, labels: graph.input("labels", [tokens], "u32") };
}

/** Writes a micro-batch; the rows left over are padding. */
export function uploadMicroBatch(
  gpu: Gpu,
  { batch, labels }: MicroBatchInputs,
  microBatch: MicroBatch,
): void {
  uploadBatch(gpu, batch, microBatch.inputs);
  uploadLabels(gpu, labels, microBatch.labels);
}
