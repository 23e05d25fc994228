/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header, then the
 * tensors' bytes without gaps. https://github.com/huggingface/safetensors#format
 */
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "./half-precision.ts";
import {
  byteSize,
  encodeHeader,
  type FloatDtype,
  MAX_HEADER_BYTES,
  parseHeader,
  type TensorEntry,
  type TensorInfo,
} from "./safetensors-header.ts";
import { readError } from "../../data/files/read-error.ts";
import { WholeFile } from "../../data/files/whole-file.ts";

export type { FloatDtype, TensorEntry, TensorInfo };

/** How many values are converted at a time, so that a huge tensor never exists twice in memory. */
const CHUNK_VALUES = 1 << 22;

/** An open safetensors file. The header is in memory; a tensor's bytes are read when asked for. */
export class SafetensorsFile implements Disposable {
  #lastRead: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    private readonly file: Deno.FsFile,
    private readonly dataStart: number,
  ) {}

  /** @throws UserError if the file cannot be read or its header does not describe it exactly */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await Deno.open(path).catch((error) => {
      throw readError(error, path);
    });
    try {
      const fileSize = (await file.stat()).size;
      const headerSize = await readHeaderSize(file, path, fileSize);
      const headerBytes = new Uint8Array(headerSize);
      await readFully(file, headerBytes, path);
      const dataStart = 8 + headerSize;
      const tensors = parseHeader(headerBytes, fileSize - dataStart, path);
      return new SafetensorsFile(path, tensors, file, dataStart);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Where the tensor lies and what it is. @throws UserError if the file has no such tensor */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new UserError(`${this.path}: there is no tensor "${name}"`);
    return info;
  }

  /** The values of an F32, F16 or BF16 tensor, row-major. Reads that tensor's bytes only. */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { dtype, shape, begin } = this.info(name);
    const values = new Float32Array(sizeOf(shape));
    if (dtype === "F32") {
      await this.#readAt(begin, new Uint8Array(values.buffer));
    } else if (dtype === "F16" || dtype === "BF16") {
      const widen = dtype === "F16" ? float16ToFloat32 : bfloat16ToFloat32;
      for (let start = 0; start < values.length; start += CHUNK_VALUES) {
        const chunk = values.subarray(start, start + CHUNK_VALUES);
        const bits = new Uint16Array(chunk.length);
        await this.#readAt(begin + 2 * start, new Uint8Array(bits.buffer));
        widen(bits, chunk);
      }
    } else {
      throw new UserError(`${this.path}: "${name}" is ${dtype}; expected F32, F16 or BF16`);
    }
    return values;
  }

  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads go one after another, since they share the file's position. */
  #readAt(offset: number, into: Uint8Array): Promise<void> {
    const read = this.#lastRead.then(async () => {
      await this.file.seek(this.dataStart + offset, Deno.SeekMode.Start);
      await readFully(this.file, into, this.path);
    });
    this.#lastRead = read.catch(() => {});
    return read;
  }
}

/**
 * Writes a safetensors file tensor by tensor and waits until it is on the disk.
 *
 * @param data gives a tensor's values, row-major; asked for in the order of the file, which is the
 *   entries' order with wider types first (so that every tensor is aligned)
 * @throws UserError when the disk is full; the unfinished file is removed
 */
export async function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
  data: (name: string) => Float32Array | Promise<Float32Array>,
): Promise<void> {
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
}

async function readHeaderSize(file: Deno.FsFile, path: string, fileSize: number): Promise<number> {
  if (fileSize < 8) {
    throw new UserError(`${path}: ${fileSize} bytes are no safetensors file; it is cut off`);
  }
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, path);
  const size = new DataView(prefix.buffer).getBigUint64(0, true);
  if (size > MAX_HEADER_BYTES) {
    throw new UserError(
      `${path}: the header claims ${size} bytes, more than the ${MAX_HEADER_BYTES} allowed; ` +
        `this is no safetensors file, or it is damaged`,
    );
  }
  if (size > fileSize - 8) {
    throw new UserError(
      `${path}: the header claims ${size} bytes but only ${fileSize - 8} follow; ` +
        `the file is cut off: copy or download it again`,
    );
  }
  return Number(size);
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

async function readFully(file: Deno.FsFile, into: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < into.length;) {
    const count = await file.read(into.subarray(done));
    if (count === null) throw new UserError(`${path}: the file ended while it was being read`);
    done += count;
  }
}
