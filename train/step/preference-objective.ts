import type { Gpu } from "../../kernels/runtime/device.ts";
import { head } from "../../kernels/loss/head.ts";
import {
  PREFERENCE_MEASURES,
  type PreferenceLoss,
  preferenceLoss,
} from "../../kernels/loss/preference-loss.ts";
import { sequenceLogProbs, spreadOverRows } from "../../kernels/loss/sequence-log-probs.ts";
import { persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { NetworkEnd, Objective } from "./objective.ts";
import type { MicroBatch } from "./micro-batch.ts";
import type { SumOverRanks } from "./sum-over-ranks.ts";

/**
 * A loss over pairs of answers (see `preferenceLoss`). Sequence 2p of a micro-batch is the chosen
 * answer of pair p, 2p + 1 the rejected one.
 *
 * The weight of a label is known only after the forward pass: the head runs once for the
 * log-probabilities, and a second time for the gradients, with the weights that follow from them.
 * The logits never exist as a whole.
 */
export class PreferenceObjective implements Objective {
  readonly #measures = persistent("outputs", "measures", [PREFERENCE_MEASURES.length]);
  #reference?: Tensor;
  #weights?: Tensor;

  /**
   * Takes the loss and its constants.
   *
   * @throws UserError if the constants do not go with the loss
   */
  constructor(private readonly loss: PreferenceLoss) {
    if (loss.labelSmoothing > 0 && loss.kind !== "sigmoid") {
      throw new UserError(
        `loss.labelSmoothing is ${loss.labelSmoothing}, but only the sigmoid loss has a smoothed ` +
          `form; loss.kind is ${loss.kind}`,
      );
    }
  }

  record(end: NetworkEnd, loss: Tensor): void {
    const { batch: { sequences }, hidden, head: table, labels } = end;
    const { graph } = hidden;
    const pairs = Math.floor(sequences.count / 2);
    this.#reference = graph.input("reference log-probabilities", [2 * pairs]);
    this.#weights = graph.input("pair weights", [pairs]);
    const logProbs = sequenceLogProbs(head(hidden, table, labels), labels, sequences);
    const inputs = { logProbs, reference: this.#reference, weights: this.#weights };
    const slopes = preferenceLoss(this.loss, inputs, loss, this.#measures);
    if (!graph.training) return;
    head(hidden, table, labels, spreadOverRows(slopes, sequences), end.headGradient);
  }

  targets({ inputs }: MicroBatch): number {
    return inputs.length / 2;
  }

  upload(gpu: Gpu, microBatch: MicroBatch, weight: number): void {
    const pairs = this.targets(microBatch);
    const references = new Float32Array(this.#reference!.size);
    references.set(microBatch.references ?? []);
    upload(gpu, this.#reference!, references);
    upload(gpu, this.#weights!, new Float32Array(this.#weights!.size).fill(weight, 0, pairs));
  }

  /** Rewards, their margin, the share of pairs with the larger reward for the chosen answer. */
  async measures(gpu: Gpu, total: SumOverRanks): Promise<Record<string, number>> {
    const [pairs, ...sums] = await total(await download(gpu, this.#measures));
    upload(gpu, this.#measures, new Float32Array(PREFERENCE_MEASURES.length));
    const means = Object.fromEntries(
      PREFERENCE_MEASURES.slice(1).map((name, i) => [name, sums[i] / Math.max(1, pairs)]),
    );
    const { loss: _, ...rest } = means;
    return { ...rest, margin: means.chosenReward - means.rejectedReward };
  }
}
