import type { Trained } from "../optimizer/adamw.ts";
import type { Gpu } from "../runtime/device.ts";
import { persistent, type Tensor } from "../runtime/graph.ts";
import { allocate } from "../runtime/memory.ts";
import { copy } from "../runtime/transfer.ts";
import { type ExchangeFormat, type ShardPiece, weightType } from "./shards.ts";

/** The part of a parameter that a rank updates. */
export interface TrainedPiece extends Trained {
  /** Which part of which tensor. */
  readonly piece: ShardPiece;
}

/** What AdamW does with an update whose weights travel like this. */
const UPDATES = { f32: "applied", f16: "applied", bf16: "rounded", int8: "left" } as const;

/**
 * Gives the pieces that this rank updates their moments. Tensors must have their gradients.
 *
 * @param isWhole whether a tensor is kept whole in f32; of others, each rank has its own pieces only
 */
export function trainedPieces(
  pieces: readonly ShardPiece[],
  isWhole: (tensor: Tensor) => boolean,
  format: ExchangeFormat,
): TrainedPiece[] {
  return pieces.map((piece) => {
    const { tensor, count } = piece;
    const own = (arena: "weights" | "optimizer", name: string) =>
      persistent(arena, `${tensor.name}.${name}`, [count]);
    return {
      piece,
      ...(isWhole(tensor)
        ? { value: tensor, valueSlice: piece }
        : { value: own("weights", "master") }),
      gradient: tensor.gradient!,
      mean: own("optimizer", "mean"),
      square: own("optimizer", "square"),
      half: tensor.half,
      slice: piece,
      update: UPDATES[weightType(piece, format, isWhole)],
    };
  });
}

/**
 * The f32 weights behind those that the network reads in f16: nothing but AdamW needs them, so that
 * each rank keeps what it updates, and frees the rest.
 */
export class Masters {
  /**
   * Names them.
   *
   * @param tensors of which each rank keeps its pieces alone
   * @param trained the pieces of this rank
   */
  constructor(
    private readonly tensors: readonly Tensor[],
    private readonly trained: readonly TrainedPiece[],
  ) {}

  /**
   * Fills the parameters: while `fill` runs, the tensors lie in the memory of their gradients, which
   * are zero before and after.
   */
  async load(gpu: Gpu, fill: () => Promise<void>): Promise<void> {
    for (const { storage, gradient } of this.tensors) storage.buffer = gradient!.storage.buffer;
    await fill();
    await this.#keepOwn(gpu);
    const encoder = gpu.device.createCommandEncoder();
    for (const { storage } of this.tensors) {
      encoder.clearBuffer(storage.buffer!);
      storage.buffer = undefined;
    }
    gpu.device.queue.submit([encoder.finish()]);
  }

  /** Takes over parameters that are loaded already, if they are, and frees what others keep. */
  async takeOver(gpu: Gpu): Promise<void> {
    if (this.tensors.some(({ storage }) => !storage.buffer)) return;
    await this.#keepOwn(gpu);
    for (const { storage } of this.tensors) {
      storage.buffer!.destroy();
      storage.buffer = undefined;
    }
  }

  /**
   * Makes the tensors whole again, in the memory of their gradients, which are gone then.
   *
   * @param values uploads all of a tensor's values
   */
  async makeWhole(values: (tensor: Tensor) => Promise<void>): Promise<void> {
    for (const tensor of this.tensors) {
      const { storage } = tensor.gradient!;
      tensor.storage.buffer = storage.buffer;
      storage.buffer = undefined;
      await values(tensor);
    }
  }

  /** Frees the pieces that this rank keeps of them. */
  destroy(): void {
    for (const { piece, value } of this.trained) {
      if (value !== piece.tensor) value.storage.buffer?.destroy();
    }
  }

  async #keepOwn(gpu: Gpu): Promise<void> {
    for (const { piece: { tensor, first, count }, value } of this.trained) {
      if (value === tensor) continue;
      await allocate(gpu, [value.storage]);
      copy(gpu, tensor, first, value, 0, count);
    }
  }
}
