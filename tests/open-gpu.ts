import { openGpu } from "../kernels/host/open-gpu.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { keepLibraries } from "./keep-libraries.ts";

/** Opens a GPU as a command does: on a bare Debian or Ubuntu, it installs a driver first. */
export async function openTestGpu(...options: Parameters<typeof openGpu>): Promise<Gpu> {
  await installMissingDriver();
  const gpu = await openGpu(...options);
  keepLibraries();
  return gpu;
}
