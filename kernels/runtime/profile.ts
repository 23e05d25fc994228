import type { Gpu } from "./device.ts";
import { encode, type Plan } from "./plan.ts";
import { UserError } from "./user-error.ts";

/** Time of all dispatches of one label. */
export interface LabelTime {
  /** The dispatches' label. */
  readonly label: string;
  /** How many dispatches have it. */
  readonly dispatches: number;
  /** Their time together. */
  readonly milliseconds: number;
  /** Bytes that they must move at least. */
  readonly bytes: number;
  /** Multiplications and additions of their matrix products. */
  readonly flops: number;
}

/** Dispatches between two read-backs: WebGPU allows 4096 timestamps in a set. */
const BATCH = 2048;

/**
 * Runs a plan once with a timestamp before and after every dispatch.
 *
 * @returns times summed by label, the longest first
 * @throws UserError if the device cannot write timestamps
 */
export async function profile(gpu: Gpu, plan: Plan): Promise<LabelTime[]> {
  if (!gpu.capabilities.timestamps) {
    throw new UserError(`${gpu.capabilities.name} cannot write timestamps: it cannot be profiled.`);
  }
  const { device } = gpu;
  const times = new Map<
    string,
    { dispatches: number; milliseconds: number; bytes: number; flops: number }
  >();
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 * BATCH });
  const size = 2 * BATCH * 8;
  const resolved = device.createBuffer({
    size,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  for (let first = 0; first < plan.dispatches.length; first += BATCH) {
    const dispatches = plan.dispatches.slice(first, first + BATCH);
    const encoder = device.createCommandEncoder();
    dispatches.forEach((dispatch, index) => {
      const timestampWrites = {
        querySet,
        beginningOfPassWriteIndex: 2 * index,
        endOfPassWriteIndex: 2 * index + 1,
      };
      const pass = encoder.beginComputePass({ timestampWrites });
      encode(pass, dispatch);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, 2 * dispatches.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(staging.getMappedRange());
    dispatches.forEach(({ label, bytes, flops }, index) => {
      const sum = times.get(label) ?? { dispatches: 0, milliseconds: 0, bytes: 0, flops: 0 };
      sum.dispatches++;
      sum.bytes += bytes;
      sum.flops += flops;
      sum.milliseconds += Number(stamps[2 * index + 1] - stamps[2 * index]) / 1e6;
      times.set(label, sum);
    });
    staging.unmap();
  }
  for (const resource of [querySet, resolved, staging]) resource.destroy();
  gpu.check();
  return [...times].map(([label, time]) => ({ label, ...time }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
