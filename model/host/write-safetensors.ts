import type { FileSum } from "../../data/files/checksum.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { float32ToBfloat16, float32ToFloat16 } from "../checkpoint/half-precision.ts";
import {
  byteSize,
  encodeHeader,
  type FloatDtype,
  type TensorEntry,
} from "../checkpoint/safetensors-header.ts";

/** How many values are converted at a time, so that a huge tensor never exists twice in memory. */
const CHUNK_VALUES = 1 << 22;

/**
 * Writes a safetensors file tensor by tensor and waits until it is on the disk.
 *
 * @param data gives a tensor's values, row-major; asked for in the order of the file, which is the
 *   entries' order with wider types first (so that every tensor is aligned)
 * @returns the file's sum
 * @throws UserError when the disk is full; the unfinished file is removed
 */
export async function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
  data: (name: string) => Float32Array | Promise<Float32Array>,
): Promise<FileSum> {
  const ordered = entries.toSorted((a, b) => byteSize(b.dtype, [1]) - byteSize(a.dtype, [1]));
  const { bytes: header, dataSize } = encodeHeader(ordered);
  await using file = await WholeFile.create(path, header.length + dataSize);
  await file.append(header);
  for (const { name, shape, dtype } of ordered) {
    const values = await data(name);
    if (values.length !== sizeOf(shape)) {
      throw new RangeError(`"${name}" has ${values.length} values; its shape is [${shape}]`);
    }
    await writeValues(file, values, dtype);
  }
  await file.finish();
  return file.sum;
}

async function writeValues(
  file: WholeFile,
  values: Float32Array,
  dtype: FloatDtype,
): Promise<void> {
  if (dtype === "F32") {
    await file.append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return;
  }
  const narrow = dtype === "F16" ? float32ToFloat16 : float32ToBfloat16;
  for (let start = 0; start < values.length; start += CHUNK_VALUES) {
    const chunk = values.subarray(start, start + CHUNK_VALUES);
    const bits = new Uint16Array(chunk.length);
    narrow(chunk, bits);
    await file.append(new Uint8Array(bits.buffer));
  }
}
