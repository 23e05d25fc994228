import { sizeOf } from "../../kernels/runtime/storage.ts";
import { float32ToBfloat16, float32ToFloat16 } from "./half-precision.ts";
import { byteSize, encodeHeader, type FloatDtype, type TensorEntry } from "./safetensors-header.ts";

/** Gives a tensor's values, row-major, by its name: at once, or part by part. */
export type TensorValues = (
  name: string,
) => Float32Array | Promise<Float32Array> | AsyncIterable<Float32Array>;

/** How many values are converted at a time, so that a huge tensor never exists twice in memory. */
const CHUNK_VALUES = 1 << 22;

/** A safetensors file as bytes, one tensor after another. */
export class SafetensorsEncoder {
  readonly #ordered: readonly TensorEntry[];
  readonly #header: Uint8Array<ArrayBuffer>;
  /** Bytes of the whole file. */
  readonly size: number;

  /** Plans the file. Tensors of wider types come first, so that every tensor is aligned. */
  constructor(entries: readonly TensorEntry[]) {
    this.#ordered = entries.toSorted((a, b) => byteSize(b.dtype, [1]) - byteSize(a.dtype, [1]));
    const { bytes, dataSize } = encodeHeader(this.#ordered);
    this.#header = bytes;
    this.size = bytes.length + dataSize;
  }

  /**
   * The bytes of the file, in pieces, each of which is done with when the next one is asked for.
   *
   * @param values is asked for the tensors in the order of the file
   */
  async *bytes(values: TensorValues): AsyncGenerator<Uint8Array> {
    yield this.#header;
    for (const { name, shape, dtype } of this.#ordered) {
      const tensor = await values(name);
      let count = 0;
      for await (const part of tensor instanceof Float32Array ? [tensor] : tensor) {
        count += part.length;
        yield* encoded(part, dtype);
      }
      if (count !== sizeOf(shape)) {
        throw new RangeError(`"${name}" has ${count} values; its shape is [${shape}]`);
      }
    }
  }
}

function* encoded(values: Float32Array, dtype: FloatDtype): Generator<Uint8Array> {
  if (dtype === "F32") {
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return;
  }
  const narrow = dtype === "F16" ? float32ToFloat16 : float32ToBfloat16;
  for (let start = 0; start < values.length; start += CHUNK_VALUES) {
    const chunk = values.subarray(start, start + CHUNK_VALUES);
    const bits = new Uint16Array(chunk.length);
    narrow(chunk, bits);
    yield new Uint8Array(bits.buffer);
  }
}
