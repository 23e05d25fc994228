import type { Graph } from "./graph.ts";

export type DType = "f32" | "f16" | "u32";

/** Bytes of one element. */
export const bytesOf = { f32: 4, f16: 2, u32: 4 } as const;

/** What a piece of memory is for; sums are reported by arena before anything is allocated. */
export type Arena =
  | "weights"
  | "half weights"
  | "gradients"
  | "optimizer"
  | "inputs"
  | "outputs"
  | "cache"
  | "activations";

/** A piece of GPU memory, placed when a plan is built. Activations may share a buffer in turns. */
export interface Storage {
  readonly name: string;
  arena: Arena;
  readonly bytes: number;
  buffer?: GPUBuffer;
}

/** A shaped, typed, row-major view of a storage. It holds no numbers until a plan is built. */
export class Tensor {
  /** Where the gradient of this tensor is gathered. Parameters own one for ever. */
  gradient?: Tensor;
  /** In mixed precision, a parameter's copy in f16, which matrix products read. */
  half?: Tensor;
  /**
   * Index on the tape of the operator that made this tensor: -1 for parameters and inputs, infinite
   * once the operator's backward has been recorded.
   */
  producer = -1;

  constructor(
    readonly storage: Storage,
    readonly shape: readonly number[],
    readonly dtype: DType,
    private readonly owner?: Graph,
  ) {}

  get name(): string {
    return this.storage.name;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The graph that this activation belongs to. */
  get graph(): Graph {
    if (!this.owner) throw new Error(`${this.name} is a parameter: it belongs to no graph`);
    return this.owner;
  }

  /** The same memory under another shape of the same size. */
  reshape(shape: readonly number[]): Tensor {
    if (sizeOf(shape) !== this.size) {
      throw new Error(`${this.name} [${this.shape}] cannot be viewed as [${shape}]`);
    }
    return new Tensor(this.storage, shape, this.dtype, this.owner);
  }
}

/** Product of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** A tensor that outlives every plan: a parameter, a gradient, an optimizer's moment. */
export function persistent(
  arena: Arena,
  name: string,
  shape: readonly number[],
  dtype: DType = "f32",
): Tensor {
  return new Tensor({ name, arena, bytes: storageBytes(shape, dtype) }, shape, dtype);
}

/** Bytes of a storage for this shape: whole 16-byte vectors, so that `vec4` bindings fit. */
export function storageBytes(shape: readonly number[], dtype: DType): number {
  return Math.max(16, Math.ceil(sizeOf(shape) * bytesOf[dtype] / 16) * 16);
}
