import { openDawn } from "../host/dawn.ts";
import { FRAGMENT, SUBGROUP_SIZE, WORKGROUP_BYTES } from "./fragment.ts";
import { ensureVulkanDriver } from "../host/vulkan-driver.ts";
import { UserError } from "./user-error.ts";

/** What the runtime needs to know of a device to choose the variant of a kernel. */
export interface Capabilities {
  /** The adapter's own name, for people. */
  name: string;
  /** Which WebGPU implementation drives it. */
  implementation: "dawn" | "deno";
  /** A software driver: kernels run on CPU cores, where barriers and workgroup memory are slow. */
  cpu: boolean;
  /** 16-bit floats in storage and arithmetic. */
  f16: boolean;
  /** Subgroup matrices of f16 with sums in f32: tensor cores. */
  tensorCores: boolean;
  /** The most bytes one binding may cover. */
  maxBindingBytes: number;
  /** The most bytes one buffer may hold. */
  maxBufferBytes: number;
  /** Timestamps can be written around passes. */
  timestamps: boolean;
}

/** An opened device. Once it has failed, every later call throws what went wrong first. */
export class Gpu {
  readonly pipelines = new Map<string, GPUComputePipeline>();
  #failure: UserError | undefined;
  #closed = false;

  constructor(readonly device: GPUDevice, readonly capabilities: Capabilities) {
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
        `so the run stops here; the last checkpoint is whole.`,
    );
  }

  /** Throws if the device has failed. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Gives the device back. */
  close(): void {
    this.#closed = true;
    this.device.destroy();
  }
}

/** Which WebGPU implementation to use; `auto` takes the faster one that the machine allows. */
export type Implementation = "auto" | "dawn" | "deno";

/** A feature that the types of WebGPU do not know yet. */
const SUBGROUP_MATRIX = "chromium-experimental-subgroup-matrix";

/**
 * Opens a GPU: with `auto`, Dawn on a GPU that has tensor cores and Deno's own WebGPU elsewhere.
 *
 * @param options `boundsChecks` has the implementation check every index too, as tests do
 * @throws UserError when there is no adapter, saying what to install, or when the implementation
 *   asked for cannot be started
 */
export async function openGpu(
  implementation: Implementation = "auto",
  { boundsChecks = false } = {},
): Promise<Gpu> {
  await ensureVulkanDriver();
  if (implementation === "dawn") {
    return await openAdapter(await adapterOf(await openDawn(boundsChecks)), "dawn");
  }
  const adapter = await adapterOf(navigator.gpu);
  if (implementation === "auto" && !isSoftware(adapter.info) && await mayLoadDawn()) {
    const dawn = await dawnIfItStarts(boundsChecks);
    if (dawn && matrixFragments(dawn)) return await openAdapter(dawn, "dawn");
  }
  return await openAdapter(adapter, "deno");
}

/** Dawn's adapter; without it, which is said, a run is slower but the same. */
async function dawnIfItStarts(boundsChecks: boolean): Promise<GPUAdapter | undefined> {
  try {
    return await adapterOf(await openDawn(boundsChecks));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(`${error.message}\nGoing on with Deno's own WebGPU.`);
    return undefined;
  }
}

async function adapterOf(gpu: GPU | undefined): Promise<GPUAdapter> {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter) return adapter;
  throw new UserError(
    "No WebGPU adapter was found: neither a GPU with a Vulkan, Metal or DirectX 12 driver nor " +
      "Mesa's software driver. Install your GPU's driver, or on Debian and Ubuntu: " +
      "sudo apt-get install -y libvulkan1 mesa-vulkan-drivers",
  );
}

async function openAdapter(
  adapter: GPUAdapter,
  implementation: "dawn" | "deno",
): Promise<Gpu> {
  const { limits, features, info } = adapter;
  const tensorCores = matrixFragments(adapter);
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
    name: info.description || info.device || info.vendor,
    implementation,
    cpu: isSoftware(info),
    f16: features.has("shader-f16"),
    tensorCores,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    timestamps: features.has("timestamp-query"),
  });
}

function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter ||
    /llvmpipe|swiftshader/i.test(`${info.description} ${info.device}`);
}

/**
 * Whether the adapter multiplies the fragments that the kernels are made of, f16 summed in f32, with
 * room for their tiles.
 */
function matrixFragments(adapter: GPUAdapter): boolean {
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

async function mayLoadDawn(): Promise<boolean> {
  return (await Deno.permissions.query({ name: "ffi" })).state === "granted";
}
