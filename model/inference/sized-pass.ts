import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Plan } from "../../kernels/runtime/plan.ts";
import { type Batch, uploadBatch } from "../network/batch.ts";
import { roomForSequences, roomForTokens } from "./plan-sizes.ts";

/** A pass over sequences, planned anew whenever they need room of another size. */
export class SizedPass<Pass extends { readonly batch: Batch; readonly plan: Plan }> {
  #pass?: Pass;

  constructor(private readonly plan: (tokens: number, sequences: number) => Promise<Pass>) {}

  /** The pass with these sequences in its batch, ready to run. */
  async holding(gpu: Gpu, inputIds: readonly (readonly number[])[]): Promise<Pass> {
    const tokens = roomForTokens(inputIds.reduce((sum, { length }) => sum + length, 0));
    const sequences = roomForSequences(inputIds.length);
    let pass = this.#pass;
    if (pass?.batch.ids.size !== tokens || pass.batch.sequences.count !== sequences) {
      pass?.plan.destroy();
      this.#pass = undefined; // if planning the next one fails
      pass = this.#pass = await this.plan(tokens, sequences);
    }
    uploadBatch(gpu, pass.batch, inputIds);
    return pass;
  }

  /** Frees the pass's memory. */
  destroy(): void {
    this.#pass?.plan.destroy();
    this.#pass = undefined;
  }
}
