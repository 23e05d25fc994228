import type { Gpu } from "./device.ts";
import type { Arena, Storage } from "./storage.ts";
import { UserError } from "./user-error.ts";

/** A device has no room for what is to be allocated. */
export class TooLittleMemory extends UserError {
  /** What the error is called. */
  override name = "TooLittleMemory";
}

/** A storage with the first and last dispatch that touch it. */
export interface Lifetime {
  readonly storage: Storage;
  first: number;
  last: number;
}

/** A buffer that activations with disjoint lifetimes use in turns. */
export interface SharedBuffer {
  readonly bytes: number;
  readonly tenants: Lifetime[];
}

/**
 * Shares buffers between activations: the largest first, each in the smallest buffer that is free
 * for its whole life (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
 * Inference", 2020, greedy by size).
 */
export function shareBuffers(lifetimes: readonly Lifetime[]): SharedBuffer[] {
  const buffers: SharedBuffer[] = [];
  for (const life of lifetimes.toSorted((a, b) => b.storage.bytes - a.storage.bytes)) {
    const free = buffers.filter(({ tenants }) =>
      tenants.every((tenant) => tenant.last < life.first || life.last < tenant.first)
    );
    // Sizes only fall, so every buffer is large enough and the last one made is the tightest.
    const buffer = free.at(-1);
    if (buffer) buffer.tenants.push(life);
    else buffers.push({ bytes: life.storage.bytes, tenants: [life] });
  }
  return buffers;
}

/** What a graph needs of memory; a `Draft` tells it. */
export interface MemoryNeed {
  /** Every storage that the graph touches. */
  readonly storages: Iterable<Storage>;
  /** Bytes of the buffers that its activations share. */
  readonly sharedBytes: number;
}

/** Bytes by what they are for. */
export type MemoryReport = Partial<Record<Arena, number>>;

/**
 * What several graphs need together: a storage that more than one of them touches counts once,
 * activations count as the buffers that they share.
 */
export function memoryReport(drafts: readonly MemoryNeed[]): MemoryReport {
  const report: MemoryReport = {};
  for (const { arena, bytes } of new Set(drafts.flatMap(({ storages }) => [...storages]))) {
    if (arena !== "activations") report[arena] = (report[arena] ?? 0) + bytes;
  }
  const shared = drafts.reduce((sum, { sharedBytes }) => sum + sharedBytes, 0);
  if (shared > 0) report.activations = shared;
  return report;
}

/**
 * Bytes that building these graphs will allocate: every storage that has no buffer yet once, and
 * activations as the buffers that they share.
 */
export function missingBytes(drafts: readonly MemoryNeed[]): number {
  const missing = [...new Set(drafts.flatMap(({ storages }) => [...storages]))]
    .filter(({ arena, buffer }) => arena !== "activations" && !buffer);
  return missing.reduce((sum, { bytes }) => sum + bytes, 0) +
    drafts.reduce((sum, { sharedBytes }) => sum + sharedBytes, 0);
}

/** A report as one line for people. */
export function describeMemory(report: MemoryReport): string {
  const parts = Object.entries(report).map(([arena, bytes]) => `${arena} ${formatBytes(bytes)}`);
  return `${formatBytes(totalBytes(report))} of GPU memory: ${parts.join(", ")}`;
}

/** Bytes of a whole report. */
export function totalBytes(report: MemoryReport): number {
  return Object.values(report).reduce((sum, bytes) => sum + bytes, 0);
}

/** A number of bytes as text, in the unit that reads best: 1 kB is 1,000 bytes. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power < 2 ? 0 : 1)} ${units[power]}`;
}

/**
 * Makes one buffer.
 *
 * @throws UserError when the device has no room for it or cannot bind it whole.
 */
export async function createBuffer(gpu: Gpu, name: string, bytes: number): Promise<GPUBuffer> {
  const { maxBufferBytes, name: device } = gpu.capabilities;
  if (bytes > maxBufferBytes) {
    throw new TooLittleMemory(
      `${name} needs a buffer of ${formatBytes(bytes)}, but ${device} allows at most ` +
        `${formatBytes(maxBufferBytes)}. Use a smaller batch or model, or another GPU.`,
    );
  }
  gpu.device.pushErrorScope("validation");
  gpu.device.pushErrorScope("out-of-memory");
  const buffer = gpu.device.createBuffer({
    label: name,
    size: bytes,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  // Both at once: what others ask of the device while this waits is not in these scopes.
  const scopes = [gpu.device.popErrorScope(), gpu.device.popErrorScope()];
  const error = (await Promise.all(scopes)).find((error) => error !== null);
  if (error) {
    throw new TooLittleMemory(
      `Too little GPU memory on ${device} for ${name}, ${formatBytes(bytes)} (${error.message}). ` +
        `Use a smaller batch, sequence or model, or another GPU.`,
    );
  }
  return buffer;
}

/**
 * Makes the buffers of storages that have none yet.
 *
 * @throws UserError when the device has no room for all of them.
 */
export async function allocate(gpu: Gpu, storages: Iterable<Storage>): Promise<void> {
  const missing = [...storages].filter(({ buffer }) => !buffer);
  requireRoom(gpu, missing.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const storage of missing) {
    storage.buffer ??= await createBuffer(gpu, storage.name, storage.bytes);
  }
}

/** Bytes that a software driver may still take; undefined of a GPU, which does not tell. */
export function freeMemory({ capabilities, host }: Gpu): number | undefined {
  return capabilities.cpu ? host.freeMemory?.() : undefined;
}

/**
 * Makes sure that a software driver has room for so many bytes. It takes the machine's own memory
 * and gives out more than there is; the system then ends the process without a word. A GPU says
 * itself when it has no more. Where the host cannot tell how much is free, nothing is checked.
 *
 * @throws UserError with both sizes
 */
export function requireRoom(gpu: Gpu, bytes: number): void {
  const { capabilities } = gpu;
  const free = freeMemory(gpu);
  if (free === undefined || bytes <= free) return;
  throw new TooLittleMemory(
    `Too little memory: this takes ${formatBytes(bytes)}, but ${capabilities.name} runs in the ` +
      `machine's own memory, of which ${
        formatBytes(free)
      } are free. Use a smaller model, batch or ` +
      `sequence, or a machine with a GPU.`,
  );
}
