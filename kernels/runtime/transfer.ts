import type { Gpu } from "./device.ts";
import { bytesOf, type View } from "./storage.ts";

/** The most bytes that pass through one staging buffer. */
const STAGING_BYTES = 64 * 1024 * 1024;

/** Up to so many bytes, a write is not worth a buffer of its own. */
const SMALL_BYTES = 1024 * 1024;

/** Numbers of a tensor, in an array of its own element type. */
export type Elements =
  | Float32Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>;

/**
 * Writes numbers into a tensor, from element `first` on. It does not wait for the GPU. An input that
 * no plan reads has no memory, and nothing is written.
 *
 * @param data of the tensor's element type; an odd number of f16 only at the tensor's end
 * @throws Error where the tensor has no memory yet: a plan that uses it must have been built
 */
export function upload(gpu: Gpu, tensor: View, data: Elements, first = 0): void {
  gpu.check();
  const { buffer, arena, name } = tensor.storage;
  if (!buffer && arena === "inputs") return;
  if (!buffer) throw new Error(`${name} has not been allocated`);
  const unit = data.BYTES_PER_ELEMENT;
  if (unit === 2 && data.length % 2 === 1) {
    // WebGPU copies whole words; a storage always has room for one half more.
    const padded = new Float16Array(data.length + 1);
    padded.set(data);
    return upload(gpu, tensor, padded, first);
  }
  // As bytes: Dawn does not know Float16Array.
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // Dawn's `writeBuffer` is slow for much data, and the mapping of Deno's own implementation.
  const mapped = gpu.capabilities.implementation === "dawn" && bytes.length > SMALL_BYTES;
  for (let from = 0; from < bytes.length; from += STAGING_BYTES) {
    const part = bytes.subarray(from, from + STAGING_BYTES);
    if (mapped) writeMapped(gpu, buffer, first * unit + from, part);
    else gpu.device.queue.writeBuffer(buffer, first * unit + from, part);
  }
}

/** Writes bytes through a buffer that is mapped from the start. */
function writeMapped(gpu: Gpu, buffer: GPUBuffer, offset: number, bytes: Uint8Array): void {
  const staging = gpu.device.createBuffer({
    label: "staging",
    size: Math.ceil(bytes.length / 4) * 4,
    usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC,
    mappedAtCreation: true,
  });
  new Uint8Array(staging.getMappedRange()).set(bytes);
  staging.unmap();
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(staging, 0, buffer, offset, bytes.length);
  gpu.device.queue.submit([encoder.finish()]);
  staging.destroy();
}

/**
 * Reads elements of an f32 tensor, and waits for the GPU. Up to 64 MiB, the copy is in the queue
 * before this waits: what is submitted next may write over the tensor.
 *
 * @param first element to read
 * @param count number of elements; all that follow when left out
 */
export async function download(
  gpu: Gpu,
  tensor: View,
  first = 0,
  count: number = tensor.size - first,
): Promise<Float32Array<ArrayBuffer>> {
  const result = new Float32Array(count);
  const step = Math.min(count, STAGING_BYTES / 4);
  const staging = gpu.device.createBuffer({
    label: `read-back of ${tensor.name}`,
    size: Math.max(4, step * 4),
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  for (let from = 0; from < count; from += step) {
    const bytes = Math.min(step, count - from) * 4;
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(tensor.storage.buffer!, (first + from) * 4, staging, 0, bytes);
    gpu.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    result.set(new Float32Array(staging.getMappedRange(0, bytes)), from);
    staging.unmap();
  }
  staging.destroy();
  gpu.check();
  return result;
}

/** Reads a whole u32 tensor, and waits for the GPU. */
export async function downloadWords(gpu: Gpu, tensor: View): Promise<Uint32Array<ArrayBuffer>> {
  return new Uint32Array((await download(gpu, tensor)).buffer);
}

/** Copies `count` elements between two tensors of one type on the GPU. It does not wait. */
export function copy(
  gpu: Gpu,
  source: View,
  firstSource: number,
  into: View,
  firstInto: number,
  count: number,
): void {
  const unit = bytesOf[source.dtype];
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(
    source.storage.buffer!,
    firstSource * unit,
    into.storage.buffer!,
    firstInto * unit,
    count * unit,
  );
  gpu.device.queue.submit([encoder.finish()]);
}
