import type { Capabilities, Gpu } from "./device.ts";
import type { Binding, Dispatch } from "./dispatch.ts";
import type { Graph } from "./graph.ts";
import { bytesOf, type Storage } from "./storage.ts";
import {
  allocate,
  createBuffer,
  formatBytes,
  type Lifetime,
  type MemoryNeed,
  requireRoom,
  shareBuffers,
  type SharedBuffer,
} from "./memory.ts";
import { UserError } from "./user-error.ts";

/** A dispatch with its pipeline and buffers, ready to be encoded. */
export interface PlannedDispatch {
  /** The dispatch's label. */
  readonly label: string;
  /** Its compiled WGSL. */
  readonly pipeline: GPUComputePipeline;
  /** Its buffers. */
  readonly bindGroup: GPUBindGroup;
  /** Workgroups along x, y and z. */
  readonly workgroups: readonly [number, number, number];
  /** Bytes that it must move at least: all it binds, twice what it both reads and writes. */
  readonly bytes: number;
  /** Multiplications and additions of its matrix products. */
  readonly flops: number;
}

/** A recorded graph before anything is allocated: it tells what memory the graph needs. */
export class Draft implements MemoryNeed {
  readonly #lifetimes: Map<Storage, Lifetime>;
  readonly #shared: readonly SharedBuffer[];

  /**
   * Shares buffers between the graph's activations.
   *
   * @throws UserError when the device cannot bind one of the tensors, however much memory it has
   */
  constructor(private readonly graph: Graph) {
    for (const dispatch of graph.dispatches) checkBindings(graph.capabilities, dispatch);
    this.#lifetimes = lifetimesOf(graph.dispatches);
    this.#shared = shareBuffers(
      [...this.#lifetimes.values()].filter(({ storage }) => storage.arena === "activations"),
    );
  }

  /** Every storage that the graph touches. */
  get storages(): Iterable<Storage> {
    return this.#lifetimes.keys();
  }

  /** Index of the first dispatch that touches a storage; infinite if none does. */
  firstUse(storage: Storage): number {
    return this.#lifetimes.get(storage)?.first ?? Infinity;
  }

  /** Index of the last dispatch that touches a storage; -1 if none does. */
  lastUse(storage: Storage): number {
    return this.#lifetimes.get(storage)?.last ?? -1;
  }

  /** Bytes of the buffers that activations share. */
  get sharedBytes(): number {
    return this.#shared.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Begins to build the graph's pipelines, all at once, in threads of the WebGPU implementation where
   * it has any; {@linkcode Draft.build} waits for them.
   */
  compile(gpu: Gpu): void {
    for (const dispatch of this.graph.dispatches) {
      pipelineOf(gpu, dispatch).catch(() => {}); // thrown by build
    }
  }

  /**
   * Allocates memory, builds pipelines and bind groups. Storages that have a buffer keep it, so that
   * several plans can share parameters.
   *
   * @throws UserError when the device has too little memory
   */
  async build(gpu: Gpu): Promise<Plan> {
    requireRoom(gpu, this.sharedBytes);
    this.compile(gpu);
    const shared: GPUBuffer[] = [];
    for (const [index, { bytes, tenants }] of this.#shared.entries()) {
      const buffer = await createBuffer(gpu, `activations ${index}`, bytes);
      for (const { storage } of tenants) storage.buffer = buffer;
      shared.push(buffer);
    }
    const own = [...this.storages].filter(({ arena, buffer }) =>
      !buffer && (arena === "inputs" || arena === "outputs")
    );
    await allocate(gpu, this.storages);
    const buffers = [...shared, ...own.map(({ buffer }) => buffer!)];
    const dispatches: PlannedDispatch[] = [];
    for (const dispatch of this.graph.dispatches) {
      dispatches.push(planDispatch(gpu, dispatch, await pipelineOf(gpu, dispatch)));
    }
    gpu.check();
    return new Plan(gpu, dispatches, buffers);
  }
}

/** A planned computation: a flat list of dispatches, replayed without allocating anything. */
export class Plan {
  /**
   * Takes what {@linkcode Draft.build} has made.
   *
   * @param dispatches in the order in which they run
   * @param buffers that the plan owns
   */
  constructor(
    private readonly gpu: Gpu,
    readonly dispatches: readonly PlannedDispatch[],
    private readonly buffers: readonly GPUBuffer[],
  ) {}

  /** Submits every dispatch once. It does not wait for the GPU. */
  run(): void {
    this.submit(this.encode());
  }

  /** Every dispatch as one command buffer, to be submitted once. */
  encode(): GPUCommandBuffer {
    const encoder = this.gpu.device.createCommandEncoder();
    this.encodeRange(encoder, 0, this.dispatches.length);
    return encoder.finish();
  }

  /** Records some of the dispatches: from `begin` on, up to but without `end`. */
  encodeRange(encoder: GPUCommandEncoder, begin: number, end: number): void {
    const pass = encoder.beginComputePass();
    for (const dispatch of this.dispatches.slice(begin, end)) encode(pass, dispatch);
    pass.end();
  }

  /** Submits what {@linkcode Plan.encode} made. It does not wait for the GPU. */
  submit(commands: GPUCommandBuffer): void {
    this.gpu.check();
    this.gpu.device.queue.submit([commands]);
  }

  /**
   * Frees activations, inputs and outputs; what was submitted is still computed and read. Persistent
   * tensors keep their buffers.
   */
  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }
}

/** Records one dispatch into a pass. */
export function encode(pass: GPUComputePassEncoder, dispatch: PlannedDispatch): void {
  pass.setPipeline(dispatch.pipeline);
  pass.setBindGroup(0, dispatch.bindGroup);
  pass.dispatchWorkgroups(...dispatch.workgroups);
}

function lifetimesOf(dispatches: readonly Dispatch[]): Map<Storage, Lifetime> {
  const lifetimes = new Map<Storage, Lifetime>();
  dispatches.forEach(({ label, bindings }, index) => {
    for (const { tensor: { storage }, access } of bindings) {
      const life = lifetimes.get(storage);
      if (life) {
        life.last = index;
      } else {
        if (storage.arena === "activations" && access === "read") {
          throw new Error(`${label} reads ${storage.name}, which nothing has written`);
        }
        lifetimes.set(storage, { storage, first: index, last: index });
      }
    }
  });
  return lifetimes;
}

function planDispatch(
  gpu: Gpu,
  { label, bindings, workgroups, flops }: Dispatch,
  pipeline: GPUComputePipeline,
): PlannedDispatch {
  const bindGroup = gpu.device.createBindGroup({
    label,
    layout: pipeline.getBindGroupLayout(0),
    entries: bindings.map((binding, index) => ({
      binding: index,
      resource: resourceOf(binding),
    })),
  });
  const bytes = bindings.reduce(
    (sum, binding) => sum + boundBytes(binding) * (binding.access === "update" ? 2 : 1),
    0,
  );
  return { label, pipeline, bindGroup, workgroups, bytes, flops };
}

/** The pipeline of a kernel, which is built once; other kernels may be built meanwhile. */
function pipelineOf(gpu: Gpu, dispatch: Dispatch): Promise<GPUComputePipeline> {
  let pipeline = gpu.pipelines.get(dispatch.code);
  if (!pipeline) gpu.pipelines.set(dispatch.code, pipeline = createPipeline(gpu, dispatch));
  return pipeline;
}

async function createPipeline(
  gpu: Gpu,
  { label, bindings, code }: Dispatch,
): Promise<GPUComputePipeline> {
  const layout = gpu.device.createBindGroupLayout({
    label,
    entries: bindings.map(({ access }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === "read" ? "read-only-storage" : "storage" },
    })),
  });
  try {
    return await gpu.device.createComputePipelineAsync({
      label,
      layout: gpu.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: gpu.device.createShaderModule({ label, code }), entryPoint: "main" },
    });
  } catch (error) {
    gpu.fail(`The GPU refused a command: ${(error as Error).message}`);
    gpu.check();
    throw error;
  }
}

function resourceOf({ tensor, slice }: Binding): GPUBufferBinding {
  const offset = slice ? slice.first * bytesOf[tensor.dtype] : 0;
  return { buffer: tensor.storage.buffer!, offset, size: boundBytes({ tensor, slice }) };
}

function checkBindings({ maxBindingBytes, name }: Capabilities, { label, bindings }: Dispatch) {
  for (const { tensor, slice } of bindings) {
    const bytes = boundBytes({ tensor, slice });
    if (bytes <= maxBindingBytes) continue;
    throw new UserError(
      `${label}: ${tensor.name} [${tensor.shape}] is ${formatBytes(bytes)}, but ${name} binds at ` +
        `most ${formatBytes(maxBindingBytes)} at once. Use a smaller batch, sequence, ` +
        `vocabulary or model, or another GPU.`,
    );
  }
}

/** Bytes of a tensor, or of a slice of it, as it is bound. */
function boundBytes({ tensor, slice }: Pick<Binding, "tensor" | "slice">): number {
  return slice ? Math.ceil(slice.count * bytesOf[tensor.dtype] / 16) * 16 : tensor.storage.bytes;
}
