import { FRAGMENT, SUBGROUP_SIZE, WORKGROUP_BYTES } from "./fragment.ts";
import { UserError } from "./user-error.ts";

/** What the runtime must know of a device to choose the variant of a kernel. */
export interface Capabilities {
  /** The adapter's own name, for people. */
  name: string;
  /** Which WebGPU implementation drives the device: Dawn from npm, Deno's own, or a browser's. */
  implementation: "dawn" | "deno" | "browser";
  /** A software driver: kernels run on CPU cores, where barriers and workgroup memory are slow. */
  cpu: boolean;
  /** 16-bit floats in storage and arithmetic. */
  f16: boolean;
  /** Subgroup matrices of f16 with sums in f32: tensor cores. */
  tensorCores: boolean;
  /** The most bytes that one binding may cover. */
  maxBindingBytes: number;
  /** The most bytes that one buffer may hold. */
  maxBufferBytes: number;
  /** Timestamps can be written around passes. */
  timestamps: boolean;
}

/** What the host knows of a device and WebGPU does not tell. */
export interface GpuHost {
  /** Which WebGPU implementation the adapter belongs to. */
  readonly implementation: Capabilities["implementation"];
  /** Bytes of the machine's own memory that are free now; undefined where the host cannot tell. */
  freeMemory?(): number | undefined;
  /** Whether a buffer may be written by the CPU and read by shaders, as WebGPU itself forbids. */
  readonly hostWrites?: boolean;
}

/** An opened device. Once it has failed, every later call throws what went wrong first. */
export class Gpu {
  /** Pipelines by the WGSL that they are built from. */
  readonly pipelines: Map<string, Promise<GPUComputePipeline>> = new Map();
  #failure: UserError | undefined;
  #closed = false;

  /**
   * Takes over a device; {@linkcode openAdapter} asks an adapter for one.
   *
   * @param device WebGPU's own object
   * @param capabilities what kernels may use of it
   * @param host what only the host knows of it
   */
  constructor(
    readonly device: GPUDevice,
    readonly capabilities: Capabilities,
    readonly host: GpuHost,
  ) {
    // An uncaptured error means that a pipeline or a submit was dropped and that what it should
    // have written is zeros: nothing computed after it can be trusted.
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.fail(`The GPU refused a command: ${(event as GPUUncapturedErrorEvent).error.message}`);
    });
    device.lost.then((info) => {
      if (!this.#closed) this.fail(`The GPU was lost (${info.reason}): ${info.message}`);
    });
  }

  /** Remembers the first failure; every later `check` throws it. */
  fail(message: string): void {
    this.#failure ??= new UserError(
      `${message}\nDevice: ${this.capabilities.name}. Nothing computed after this can be trusted, ` +
        `so no more is computed.`,
    );
  }

  /**
   * Makes sure that the device still works.
   *
   * @throws UserError with what went wrong first, if it has failed
   */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Whether {@linkcode check} throws. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Gives the device back. */
  close(): void {
    this.#closed = true;
    this.device.destroy();
  }
}

/** A feature that the types of WebGPU do not know yet. */
const SUBGROUP_MATRIX = "chromium-experimental-subgroup-matrix";

/**
 * Opens a device of an adapter, with all features and limits that kernels use. It needs nothing but
 * WebGPU and works in a browser: `await openAdapter((await navigator.gpu.requestAdapter())!)`.
 */
export async function openAdapter(
  adapter: GPUAdapter,
  host: GpuHost = { implementation: "browser" },
): Promise<Gpu> {
  const { limits, features, info } = adapter;
  const tensorCores = hasTensorCores(adapter);
  const wanted: string[] = ["shader-f16", "timestamp-query", "subgroups"];
  if (tensorCores) wanted.push(SUBGROUP_MATRIX);
  const device = await adapter.requestDevice({
    requiredFeatures: (wanted as GPUFeatureName[]).filter((name) => features.has(name)),
    // A limit that is not asked for stays at WebGPU's small default.
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: Math.min(limits.maxStorageBuffersPerShaderStage, 16),
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    },
  });
  return new Gpu(device, {
    name: info.description || info.device || `${info.vendor} ${info.architecture}`.trim(),
    implementation: host.implementation,
    cpu: isSoftware(info),
    f16: features.has("shader-f16"),
    tensorCores,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    timestamps: features.has("timestamp-query"),
  }, host);
}

/** Whether an adapter is a software driver, which runs kernels on CPU cores. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter ||
    /llvmpipe|swiftshader/i.test(`${info.description} ${info.device}`);
}

/**
 * Whether an adapter multiplies the fragments that the kernels for tensor cores are made of, f16
 * summed in f32, with room for their tiles.
 */
export function hasTensorCores(adapter: GPUAdapter): boolean {
  const info = adapter.info as GPUAdapterInfo & { subgroupMatrixConfigs?: MatrixConfig[] };
  return adapter.features.has("shader-f16") &&
    adapter.features.has(SUBGROUP_MATRIX as GPUFeatureName) &&
    adapter.limits.maxComputeWorkgroupStorageSize >= WORKGROUP_BYTES &&
    info.subgroupMinSize === SUBGROUP_SIZE && info.subgroupMaxSize === SUBGROUP_SIZE &&
    [...info.subgroupMatrixConfigs ?? []].some((config) =>
      config.componentType === "f16" && config.resultComponentType === "f32" &&
      config.M === FRAGMENT.m && config.N === FRAGMENT.n && config.K === FRAGMENT.k
    );
}

/** An entry of Dawn's `subgroupMatrixConfigs`, which the types of WebGPU do not know yet. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
