import type { Gpu } from "./device.ts";
import { formatBytes } from "./memory.ts";
import type { View } from "./storage.ts";
import { UserError } from "./user-error.ts";

/** A run of elements of an f32 tensor. */
export interface ElementRange {
  /** Holds them. */
  readonly tensor: View;
  /** Index of the first one. */
  readonly first: number;
  /** How many there are. */
  readonly count: number;
}

/** The most bytes of a window: who sums up more of them at once keeps the GPU's next step waiting. */
const WINDOW_BYTES = 32 * 1024 * 1024;

/** Windows that take turns: one is read while the GPU fills the others. */
const FEW_WINDOWS = 4;

/** A part of a range that lies in one window. */
interface Piece {
  readonly window: number;
  /** Index of its first element in the window. */
  readonly place: number;
  readonly tensor: View;
  /** Index of its first element in the tensor. */
  readonly first: number;
  readonly count: number;
}

/**
 * Memory of the host that the GPU copies ranges of tensors into, to be read one after another. It
 * consists of windows, which are buffers that can be mapped. They are kept from one reading to the
 * next, since fresh memory is slow to touch: its first 13 GB take ten seconds.
 */
export class ReadBack {
  readonly #pieces: readonly (readonly Piece[])[];
  readonly #windowBytes: number;
  readonly #windowCount: number;
  readonly #windows: GPUBuffer[] = [];

  /**
   * Lays the ranges out, one behind the other. No memory is taken yet.
   *
   * @param ranges in the order in which they are to be read
   */
  constructor(private readonly gpu: Gpu, ranges: readonly ElementRange[]) {
    const bytes = 4 * ranges.reduce((sum, { count }) => sum + count, 0);
    this.#windowBytes = Math.max(4, Math.min(WINDOW_BYTES, bytes));
    this.#windowCount = Math.max(1, Math.ceil(bytes / this.#windowBytes));
    this.#pieces = layOut(ranges, this.#windowBytes / 4);
  }

  /** Bytes that are still to be taken until there is a window for every element. */
  get missingBytes(): number {
    return (this.#windowCount - this.#windows.length) * this.#windowBytes;
  }

  /**
   * Takes memory for some more windows, if any are missing.
   *
   * @returns false if the device gives no more; nothing has changed then
   */
  async grow(count: number): Promise<boolean> {
    const { device } = this.gpu;
    const missing = Math.min(count, this.#windowCount - this.#windows.length);
    if (missing <= 0) return true;
    device.pushErrorScope("out-of-memory");
    const windows = Array.from({ length: missing }, () =>
      device.createBuffer({
        label: "read-back",
        size: this.#windowBytes,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }));
    if (await device.popErrorScope()) {
      for (const window of windows) window.destroy();
      return false;
    }
    // Another call may have taken some meanwhile.
    const fitting = windows.slice(0, this.#windowCount - this.#windows.length);
    for (const window of windows.slice(fitting.length)) window.destroy();
    this.#windows.push(...fitting);
    return true;
  }

  /**
   * Begins to copy the tensors as they are now. With a window for every element, all copies are in
   * the queue when this returns: what is submitted next may write over the tensors. Otherwise a few
   * windows take turns, and the tensors must stay as they are until everything is read.
   */
  async begin(): Promise<OpenReading> {
    if (!await this.grow(FEW_WINDOWS - this.#windows.length)) {
      throw new UserError(
        `Too little memory: ${this.gpu.capabilities.name} cannot copy ` +
          `${formatBytes(FEW_WINDOWS * this.#windowBytes)} to this machine's own`,
      );
    }
    return new OpenReading(this.gpu, this.#pieces, [...this.#windows]);
  }

  /** Frees the windows. */
  destroy(): void {
    for (const window of this.#windows) window.destroy();
    this.#windows.length = 0;
  }
}

/** One reading of all ranges. To be disposed of: the next one needs its windows. */
export class OpenReading implements Disposable {
  readonly #copies: readonly (readonly Piece[])[];
  /** The window that is being read, and its memory; then the one after it. */
  #open?: Mapped;
  #upcoming?: Mapped;
  #range = 0;

  /**
   * Submits the first copies.
   *
   * @param pieces of every range
   * @param windows take turns where there are fewer than the pieces ask for
   */
  constructor(
    private readonly gpu: Gpu,
    private readonly pieces: readonly (readonly Piece[])[],
    private readonly windows: readonly GPUBuffer[],
  ) {
    this.#copies = [...Map.groupBy(pieces.flat(), ({ window }) => window).values()];
    for (let window = 0; window < windows.length; window++) this.#copy(window);
  }

  /**
   * The elements of the next range, in parts. A part is there until the next one is asked for.
   *
   * @throws UserError if the GPU has failed
   */
  async *next(): AsyncGenerator<Float32Array<ArrayBuffer>> {
    for (const { window, place, count } of this.pieces[this.#range++]) {
      if (this.#open?.window !== window) this.#turnTo(window);
      const memory = await this.#open!.memory;
      this.gpu.check();
      yield new Float32Array(memory, place * 4, count);
    }
  }

  /** Gives the windows back. */
  [Symbol.dispose](): void {
    for (const mapped of [this.#open, this.#upcoming]) mapped?.buffer.unmap();
    this.#open = this.#upcoming = undefined;
  }

  /** Lets the window before be filled again, and has the one after mapped, which takes a while. */
  #turnTo(window: number): void {
    if (this.#open) {
      this.#open.buffer.unmap();
      this.#copy(this.#open.window + this.windows.length);
    }
    this.#open = this.#upcoming ?? this.#map(window);
    this.#upcoming = window + 1 < this.#copies.length ? this.#map(window + 1) : undefined;
  }

  #copy(window: number): void {
    if (window >= this.#copies.length) return;
    const encoder = this.gpu.device.createCommandEncoder();
    for (const { tensor, first, place, count } of this.#copies[window]) {
      const { buffer } = tensor.storage;
      encoder.copyBufferToBuffer(buffer!, 4 * first, this.#buffer(window), 4 * place, 4 * count);
    }
    this.gpu.device.queue.submit([encoder.finish()]);
  }

  #map(window: number): Mapped {
    const buffer = this.#buffer(window);
    const memory = buffer.mapAsync(GPUMapMode.READ).then(() => buffer.getMappedRange());
    memory.catch(() => {}); // thrown to who reads it
    return { window, buffer, memory };
  }

  #buffer(window: number): GPUBuffer {
    return this.windows[window % this.windows.length];
  }
}

/** A window that is mapped, or will be. */
interface Mapped {
  readonly window: number;
  readonly buffer: GPUBuffer;
  readonly memory: Promise<ArrayBuffer>;
}

/** The pieces of every range, one behind the other in windows of so many elements. */
function layOut(ranges: readonly ElementRange[], windowSize: number): Piece[][] {
  let end = 0;
  return ranges.map(({ tensor, first, count }) => {
    const pieces: Piece[] = [];
    for (let done = 0; done < count;) {
      const window = Math.floor(end / windowSize);
      const place = end % windowSize;
      const part = Math.min(count - done, windowSize - place);
      pieces.push({ window, place, tensor, first: first + done, count: part });
      done += part;
      end += part;
    }
    return pieces;
  });
}
