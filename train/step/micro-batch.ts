import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Graph, Tensor } from "../../kernels/runtime/graph.ts";
import { type Batch, batchInputs, uploadBatch } from "../../model/network/batch.ts";
import { uploadLabels } from "../../model/network/labels.ts";
import type { Extent } from "../batches/first-fit.ts";

/** Sequences that go through the network at once. */
export interface MicroBatch {
  /** Token ids of each sequence. */
  readonly inputs: readonly ArrayLike<number>[];
  /** The token that should follow each input, or -100 where the loss ignores it. */
  readonly labels: readonly ArrayLike<number>[];
  /** Each sequence's log-probability under a reference model, where the loss needs it. */
  readonly references?: readonly number[];
}

/** The space of a micro-batch. */
export interface Room extends Extent {
  /** The most tokens of a sequence, for the choice of kernels; `tokens` when left out. */
  readonly longest?: number;
}

/** The inputs of a plan that a micro-batch fills. */
export interface MicroBatchInputs {
  /** The token ids of all sequences, one after another. */
  readonly batch: Batch;
  /** [tokens] u32: the token that should follow, or IGNORED. */
  readonly labels: Tensor;
}

/** Declares the inputs for micro-batches that fit into the room. */
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

/**
 * A seed that only this micro-batch has in a step, whichever rank computes it: FNV-1a over its tokens
 * and the step.
 */
export function seedOf({ inputs }: MicroBatch, step: number): number {
  let hash = 0x811c9dc5 ^ step;
  for (const ids of inputs) {
    for (let i = 0; i < ids.length; i++) hash = Math.imul(hash ^ ids[i], 0x01000193);
  }
  return hash >>> 0;
}
