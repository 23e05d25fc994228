import {
  type Gpu,
  type GpuHost,
  hasTensorCores,
  isSoftware,
  openAdapter,
} from "../runtime/device.ts";
import { UserError } from "../runtime/user-error.ts";
import { type DawnOptions, openDawn } from "./dawn.ts";
import { isGranted } from "./permissions.ts";

/** Which WebGPU implementation to use; `auto` takes the faster one that the machine allows. */
export type Implementation = "auto" | "dawn" | "deno";

/**
 * Opens a GPU in Deno: with `auto`, Dawn on a GPU that has tensor cores and Deno's own WebGPU
 * elsewhere. Dawn needs `--allow-ffi`; without it, `auto` takes Deno's own.
 *
 * @param options `boundsChecks` makes the implementation check every index too, as tests do;
 *   `hostWrites`, for ranks, lets the CPU write into the GPU's own memory where Dawn is used, and
 *   costs Dawn's checks of every call
 * @throws UserError when there is no adapter, with what to install, or when the implementation that
 *   was asked for cannot be started
 */
export async function openGpu(
  implementation: Implementation = "auto",
  { boundsChecks = false, hostWrites = false }: { boundsChecks?: boolean; hostWrites?: boolean } =
    {},
): Promise<Gpu> {
  await silenceWayland();
  const options = { boundsChecks, hostWrites };
  const dawnHost = { ...hostOf("dawn"), hostWrites };
  if (implementation === "dawn") {
    return await openAdapter(await adapterOf(await openDawn(options)), dawnHost);
  }
  const adapter = await adapterOf(navigator.gpu);
  if (implementation === "auto" && !isSoftware(adapter.info) && await isGranted({ name: "ffi" })) {
    const dawn = await dawnIfItStarts(options);
    if (dawn && hasTensorCores(dawn)) return await openAdapter(dawn, dawnHost);
  }
  return await openAdapter(adapter, hostOf("deno"));
}

/** Dawn's adapter. Without it a run is slower but otherwise the same, so it only warns. */
async function dawnIfItStarts(options: DawnOptions): Promise<GPUAdapter | undefined> {
  try {
    return await adapterOf(await openDawn(options));
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

function hostOf(implementation: "dawn" | "deno"): GpuHost {
  return { implementation, freeMemory };
}

/** Free memory of the machine; undefined without `--allow-sys=systemMemoryInfo`. */
function freeMemory(): number | undefined {
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
  return Deno.systemMemoryInfo().available;
}

/**
 * Without the variable, libwayland writes an error to the terminal whenever a driver looks for a
 * display. It wants an absolute path, and it is no error for it to find nothing there.
 */
async function silenceWayland(): Promise<void> {
  if (Deno.build.os !== "linux") return;
  if (!await isGranted({ name: "env", variable: "XDG_RUNTIME_DIR" })) return;
  if (!Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/nonexistent");
}
