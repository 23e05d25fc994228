import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Parameters } from "../network/parameters.ts";
import { NextTokenPass, type NextTokenRoom } from "./next-token-pass.ts";
import { roomForSequences, roomForTokens } from "./plan-sizes.ts";
import { sharedLength } from "./shared-length.ts";

/** A plan may have so many times the rows that are wanted, as the last of many batches is small. */
const MOST_PADDING = 8;

/** A shorter beginning is computed again for each sequence: it is hardly worth a plan of its own. */
const SHORTEST_PREFIX = 16;

/** Logits of a few tokens as the one after each sequence; the plan is kept for the next batch. */
export class ChoiceScorer {
  #pass?: NextTokenPass;

  constructor(private readonly gpu: Gpu, private readonly parameters: Parameters) {}

  /**
   * Starts scoring a batch. The next one may be started before this one has been read.
   *
   * @param choices ids of the tokens
   * @param sharePrefix compute once what all sequences begin with; the model must be causal
   * @returns `reading`, which gives the logits [batch][choices]; it is an object's, since awaiting
   *   the start is not to await the reading
   */
  async start(
    inputIds: readonly (readonly number[])[],
    choices: readonly number[],
    sharePrefix: boolean,
  ): Promise<{ reading: Promise<Float32Array[]> }> {
    const shared = sharePrefix && inputIds.length > 1 ? sharedLength(inputIds) : 0;
    const prefix = shared >= SHORTEST_PREFIX;
    const sequences = prefix
      ? [inputIds[0].slice(0, shared), ...inputIds.map((ids) => ids.slice(shared))]
      : inputIds;
    const pass = await this.#planned({
      tokens: roomForTokens(sequences.reduce((sum, { length }) => sum + length, 0)),
      sequences: roomForSequences(sequences.length),
      choices: choices.length,
      prefix,
    });
    const reading = pass.run(sequences, choices);
    reading.catch(() => {}); // thrown where it is awaited, which may be much later
    return { reading };
  }

  /** Frees the plan's memory; what has been started is still read. */
  destroy(): void {
    this.#pass?.destroy();
    this.#pass = undefined;
  }

  async #planned(room: NextTokenRoom): Promise<NextTokenPass> {
    if (!this.#pass || !isRoomEnough(this.#pass.room, room)) {
      this.destroy(); // before there must be memory for the other
      this.#pass = await NextTokenPass.plan(this.gpu, this.parameters, room);
    }
    return this.#pass;
  }
}

/** Whether a plan does for what is wanted: building another takes longer than some padding. */
function isRoomEnough(plan: NextTokenRoom, wanted: NextTokenRoom): boolean {
  return plan.choices === wanted.choices && plan.prefix === wanted.prefix &&
    plan.sequences >= wanted.sequences &&
    plan.tokens >= wanted.tokens && plan.tokens <= MOST_PADDING * wanted.tokens;
}
