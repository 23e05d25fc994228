import { UserError } from "../runtime/user-error.ts";

const PACKAGE = "npm:webgpu@0.6.2";

/** Switches of Dawn, each with what it is for. */
const FEATURES = [
  // Subgroup matrices, the way to tensor cores, are still experimental.
  "allow_unsafe_apis",
  // NVIDIA's driver can do f16, but Dawn does not offer it there unless told to.
  "vulkan_enable_f16_on_nvidia",
  // Orders memory accesses as WGSL does, without the blanket volatility of the older model.
  "use_vulkan_memory_model",
];

/** What is left out where every index of every kernel is known to be inside its array. */
const UNCHECKED = [
  // Clamps on every access cost a fifth of a matrix product.
  "disable_robustness",
  // Every kernel writes what it reads of workgroup memory.
  "disable_workgroup_init",
];

/** What lets the CPU write into buffers that shaders read. */
const HOST_WRITES = [
  // WebGPU refuses such buffers, and the binding from npm cannot ask for the feature of Dawn that
  // allows them, buffer-map-extended-usages. Dawn makes them all the same where it does not check.
  "skip_validation",
];

/** Dawn's methods that return a promise, by class: until it is settled, Dawn polls the GPU. */
const POLLING = {
  GPU: ["requestAdapter"],
  GPUAdapter: ["requestDevice"],
  GPUBuffer: ["mapAsync"],
  GPUDevice: ["createComputePipelineAsync", "createRenderPipelineAsync", "popErrorScope"],
  GPUQueue: ["onSubmittedWorkDone"],
  GPUShaderModule: ["getCompilationInfo"],
};

/** What the package exports. */
interface DawnModule {
  create(flags: string[]): GPU;
  readonly globals: Record<string, { readonly prototype: Record<string, Method> }>;
}

type Method = (...values: unknown[]) => unknown;

/** How Dawn is to be opened. */
export interface DawnOptions {
  /** Keep Dawn's own checks of every index, for tests. */
  readonly boundsChecks: boolean;
  /** Let the CPU write into buffers that shaders read, which costs Dawn's checks of every call. */
  readonly hostWrites: boolean;
}

/**
 * Dawn, Chrome's implementation of WebGPU, from npm.
 *
 * @throws UserError if it cannot be loaded or started
 */
export async function openDawn(options: DawnOptions): Promise<GPU> {
  return await createDawn(dawnFlags(options));
}

/** Dawn's own flags for some options. */
export function dawnFlags({ boundsChecks, hostWrites }: DawnOptions): string[] {
  const features = [
    ...FEATURES,
    ...boundsChecks ? [] : UNCHECKED,
    ...hostWrites ? HOST_WRITES : [],
  ];
  return [
    `enable-dawn-features=${features.join(",")}`,
    // Timestamps rounded to 100 µs would hide short kernels.
    "disable-dawn-features=timestamp_quantization",
  ];
}

/**
 * Loads Dawn and starts it with its own flags. It is loaded only here, so that a machine which does
 * not use it does not download it.
 *
 * @throws UserError if it cannot be loaded or started
 */
export async function createDawn(flags: string[]): Promise<GPU> {
  try {
    // A variable keeps Deno from fetching the package before the program starts.
    const specifier = PACKAGE;
    const { create, globals }: DawnModule = await import(specifier);
    pacePolling(globals);
    const gpu = create(flags);
    // Once this object is collected the process dies: it stays reachable for ever.
    keepAlive.push(gpu);
    return gpu;
  } catch (error) {
    throw new UserError(
      `Dawn could not be started: ${(error as Error).message.split("\n")[0]}. It comes from ` +
        `${PACKAGE} and needs --allow-ffi and a Vulkan, Metal or DirectX 12 driver; Deno's own ` +
        `WebGPU ("deno") does without it.`,
    );
  }
}

const keepAlive: GPU[] = [];

let isPaced = false;

/** Makes Dawn's methods that wait for the GPU poll it with pauses, once for all. */
function pacePolling(classes: DawnModule["globals"]): void {
  if (isPaced) return;
  isPaced = true;
  for (const [name, methods] of Object.entries(POLLING)) {
    const { prototype } = classes[name];
    for (const method of methods) {
      const original = prototype[method];
      prototype[method] = function (this: unknown, ...values: unknown[]) {
        return withPauses(() => original.apply(this, values));
      };
    }
  }
}

/**
 * Runs code of Dawn's, which has no setting for how it waits. While the GPU works, it asks by the
 * global `setImmediate` whether the GPU is done, as fast as it can and each time with a new function.
 * Deno clears collected functions away in quadratic time: after some hundred thousand of them, a few
 * seconds of waiting, the program stands still. A timer asks a thousand times less often. As Dawn
 * looks `setImmediate` up whenever it calls it, it is replaced for these calls alone: it is back
 * before any other code runs.
 */
function withPauses<T>(dawn: () => T): T {
  const { setImmediate } = globalThis;
  const later = (ask: () => void) => void setTimeout(() => withPauses(ask), 1);
  Object.assign(globalThis, { setImmediate: later });
  try {
    return dawn();
  } finally {
    Object.assign(globalThis, { setImmediate });
  }
}
