/**
 * Reads the safetensors format: 8 bytes of header length (little-endian), a JSON header, then the
 * tensors' bytes without gaps. https://github.com/huggingface/safetensors#format
 */
import { pathIn } from "../../data/files/text-folder.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import { bfloat16ToFloat32, float16ToFloat32 } from "./half-precision.ts";
import { MAX_HEADER_BYTES, parseHeader, type TensorInfo } from "./safetensors-header.ts";

/** How many 16-bit values are read at a time, so that a huge tensor never exists twice in memory. */
const CHUNK_VALUES = 1 << 22;

/** An open safetensors file. The header is in memory; a tensor's bytes are read when asked for. */
export class SafetensorsFile implements Disposable {
  private constructor(
    private readonly files: CheckpointFiles,
    private readonly name: string,
    /** What the file holds, by name. */
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    private readonly dataStart: number,
  ) {}

  /**
   * Reads the header of a file.
   *
   * @throws UserError if the file cannot be read, or if its header does not describe it exactly
   */
  static async open(files: CheckpointFiles, name: string): Promise<SafetensorsFile> {
    const path = pathIn(files, name);
    const size = await files.size(name);
    if (size === undefined) throw new UserError(`${path}: there is no such file`);
    const headerSize = await readHeaderSize(files, name, size);
    const header = await readExactly(files, name, 8, headerSize);
    const dataStart = 8 + headerSize;
    const tensors = parseHeader(new Uint8Array(header), size - dataStart, path);
    return new SafetensorsFile(files, name, tensors, dataStart);
  }

  /** Where the file is, as errors name it. */
  get path(): string {
    return pathIn(this.files, this.name);
  }

  /** Where a tensor lies in the file and what it is. @throws UserError if there is no such tensor */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new UserError(`${this.path}: there is no tensor "${name}"`);
    return info;
  }

  /**
   * The values of a tensor, row-major. Reads that tensor's bytes only.
   *
   * @throws UserError if the tensor is not of F32, F16 or BF16
   */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { dtype, shape, begin, end } = this.info(name);
    if (dtype === "F32") return new Float32Array(await this.#read(begin, end - begin));
    if (dtype !== "F16" && dtype !== "BF16") {
      throw new UserError(`${this.path}: "${name}" is ${dtype}; expected F32, F16 or BF16`);
    }
    const widen = dtype === "F16" ? float16ToFloat32 : bfloat16ToFloat32;
    const values = new Float32Array(sizeOf(shape));
    for (let start = 0; start < values.length; start += CHUNK_VALUES) {
      const chunk = values.subarray(start, start + CHUNK_VALUES);
      widen(new Uint16Array(await this.#read(begin + 2 * start, 2 * chunk.length)), chunk);
    }
    return values;
  }

  /** Closes the files that this one is among. */
  close(): void {
    this.files.close?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(offset: number, count: number): Promise<ArrayBuffer> {
    return readExactly(this.files, this.name, this.dataStart + offset, count);
  }
}

async function readHeaderSize(
  files: CheckpointFiles,
  name: string,
  fileSize: number,
): Promise<number> {
  const path = pathIn(files, name);
  if (fileSize < 8) {
    throw new UserError(`${path}: ${fileSize} bytes are no safetensors file; it is cut off`);
  }
  const size = new DataView(await readExactly(files, name, 0, 8)).getBigUint64(0, true);
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

async function readExactly(
  files: CheckpointFiles,
  name: string,
  first: number,
  count: number,
): Promise<ArrayBuffer> {
  const bytes = await files.bytes(name, first, count);
  if (bytes.byteLength === count) return bytes;
  throw new UserError(
    `${pathIn(files, name)}: only ${bytes.byteLength} of ${count} bytes could be read from byte ` +
      `${first} on; the file is cut off, or was changed while it was being read`,
  );
}
