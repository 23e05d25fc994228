/** Type of a tensor's elements. */
export type DType = "f32" | "f16" | "u32";

/** Bytes of one element. */
export const bytesOf = { f32: 4, f16: 2, u32: 4 } as const;

/** What a piece of memory is for. Memory is reported by arena before anything is allocated. */
export type Arena =
  | "weights"
  | "half weights"
  | "gradients"
  | "optimizer"
  | "inputs"
  | "outputs"
  | "cache"
  | "exchange"
  | "activations";

/**
 * A piece of GPU memory. It has a buffer once a plan that uses it has been built, or once
 * `allocate` has made one. Activations may take turns in one buffer.
 */
export interface Storage {
  /** Name for people: errors and the GPU's own labels show it. */
  readonly name: string;
  /** What the memory is for. */
  arena: Arena;
  /** Size in bytes, a multiple of 16. */
  readonly bytes: number;
  /** The memory itself. */
  buffer?: GPUBuffer;
}

/** A storage seen as a row-major array of a shape and an element type. */
export class View {
  /**
   * Views a storage.
   *
   * @param storage holds the elements
   * @param shape lengths of the axes, the last one contiguous
   * @param dtype type of an element
   */
  constructor(
    readonly storage: Storage,
    readonly shape: readonly number[],
    readonly dtype: DType,
  ) {}

  /** The storage's name. */
  get name(): string {
    return this.storage.name;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }
}

/** Number of elements of a shape: the product of its lengths. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes of a storage for this shape: whole 16-byte vectors, so that `vec4` bindings fit. */
export function storageBytes(shape: readonly number[], dtype: DType): number {
  return Math.max(16, Math.ceil(sizeOf(shape) * bytesOf[dtype] / 16) * 16);
}
