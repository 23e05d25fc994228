import type { Gpu } from "../../kernels/runtime/device.ts";
import { gatherRows } from "../../kernels/decoding/gather-rows.ts";
import { Graph, type Tensor } from "../../kernels/runtime/graph.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { prefixAttention } from "../../kernels/attention/prefix-attention.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { attendInside } from "../network/attention/attention.ts";
import { type Batch, batchInputs, uploadBatch } from "../network/batch.ts";
import type { Parameters } from "../network/parameters.ts";
import { type AttendInLayer, logitsOf, transformer } from "../network/transformer.ts";

/** What a plan has room for. */
export interface NextTokenRoom {
  /** Rows of all sequences together. */
  readonly tokens: number;
  readonly sequences: number;
  /** How many tokens' logits are asked for. */
  readonly choices: number;
  /** Whether all sequences go on from the first one. */
  readonly prefix: boolean;
}

/**
 * A planned pass that computes the logits of a few tokens as the one after each sequence. The head
 * reads only the last row of each sequence, and only those tokens' rows of its weights.
 */
export class NextTokenPass {
  private constructor(
    private readonly gpu: Gpu,
    readonly room: NextTokenRoom,
    private readonly batch: Batch,
    /** [sequences] u32. */
    private readonly lastRows: Tensor,
    /** [choices] u32. */
    private readonly choices: Tensor,
    /** [1] u32. */
    private readonly prefix: Tensor,
    /** [sequences, choices] f32. */
    private readonly logits: Tensor,
    private readonly plan: Plan,
  ) {}

  /** Plans a pass. @throws UserError if the device has too little memory */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    room: NextTokenRoom,
  ): Promise<NextTokenPass> {
    const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
    const batch = batchInputs(graph, room.tokens, room.sequences);
    const lastRows = graph.input("last rows", [room.sequences], "u32");
    const prefix = graph.input("prefix", [1], "u32");
    const attend: AttendInLayer = (queryKeyValue, attention) =>
      room.prefix
        ? prefixAttention(queryKeyValue, batch.sequences, prefix, attention)
        : attendInside(batch.sequences, queryKeyValue, attention);
    const last = gatherRows(transformer(batch, parameters, attend), lastRows);
    const choices = graph.input("choices", [room.choices], "u32");
    // These few rows are multiplied in f32 whatever the precision: f16 would round the logits of
    // nearly equally likely tokens to the same number.
    const { weight, bias } = parameters.head;
    const logits = logitsOf(graph.convert(last, "f32"), {
      weight: gatherRows(weight, choices),
      bias: bias && gatherRows(bias.reshape([bias.size, 1]), choices),
    });
    graph.keep(logits);
    const plan = await new Draft(graph).build(gpu);
    return new NextTokenPass(gpu, room, batch, lastRows, choices, prefix, logits, plan);
  }

  /**
   * Starts the pass and the reading of its logits. The next pass may be started before these logits
   * have been read.
   *
   * @param sequences token ids; in a plan with a prefix, the first is the prefix of all others
   * @param choices ids of the tokens whose logits are read
   * @returns logits after each sequence but the prefix, [sequences][choices]
   */
  run(
    sequences: readonly ArrayLike<number>[],
    choices: readonly number[],
  ): Promise<Float32Array[]> {
    const { gpu, batch, room } = this;
    const prefix = room.prefix ? sequences[0].length : 0;
    const lastRows = new Uint32Array(room.sequences);
    let end = 0;
    sequences.forEach(({ length }, i) => lastRows[i] = (end += length) - 1);
    uploadBatch(gpu, batch, sequences, prefix);
    upload(gpu, this.lastRows, lastRows);
    upload(gpu, this.prefix, Uint32Array.of(prefix));
    upload(gpu, this.choices, Uint32Array.from(choices));
    this.plan.run();
    return this.#read(room.prefix ? 1 : 0, sequences.length);
  }

  async #read(first: number, end: number): Promise<Float32Array[]> {
    const width = this.logits.shape[1];
    // The copy is in the queue before this waits: the next pass may write over the logits.
    const numbers = await download(this.gpu, this.logits, first * width, (end - first) * width);
    return Array.from(
      { length: end - first },
      (_, row) => numbers.subarray(row * width, (row + 1) * width),
    );
  }

  /** Frees its memory; what has been started is still computed and read. */
  destroy(): void {
    this.plan.destroy();
  }
}
