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

interface DawnModule {
  create(flags: string[]): GPU;
}

/**
 * Dawn, Chrome's implementation of WebGPU, from npm; loaded only here, so that a machine which does
 * not use it does not download it.
 *
 * @param boundsChecks keep Dawn's own checks of every index, for tests
 * @throws UserError if it cannot be loaded or started
 */
export async function openDawn(boundsChecks: boolean): Promise<GPU> {
  const features = boundsChecks ? FEATURES : [...FEATURES, ...UNCHECKED];
  try {
    // A variable keeps Deno from fetching the package before the program starts.
    const specifier = PACKAGE;
    const { create }: DawnModule = await import(specifier);
    const gpu = create([
      `enable-dawn-features=${features.join(",")}`,
      // Timestamps rounded to 100 µs would hide short kernels.
      "disable-dawn-features=timestamp_quantization",
    ]);
    // Once this object is collected the process dies: it stays reachable for ever.
    keepAlive.push(gpu);
    pollWithPauses();
    return gpu;
  } catch (error) {
    throw new UserError(
      `Dawn could not be started: ${(error as Error).message.split("\n")[0]}. It comes from ` +
        `${PACKAGE} and needs --allow-ffi and a Vulkan, Metal or DirectX 12 driver; with ` +
        `--train.gpu=deno Deno's own WebGPU is used instead.`,
    );
  }
}

const keepAlive: GPU[] = [];

/**
 * While the GPU works, Dawn's binding asks by `setImmediate` whether it is done, as fast as it can
 * and each time with a new function. Deno clears collected functions away in quadratic time: after
 * some hundred thousand of them, a few seconds of waiting, the program stands still. A timer asks a
 * thousand times less often.
 */
function pollWithPauses(): void {
  Object.assign(globalThis, {
    setImmediate: (task: (...values: unknown[]) => void, ...values: unknown[]) =>
      setTimeout(task, 1, ...values),
  });
}
