/**
 * Installs what the tests need on a bare Debian, before they run side by side: several apt-get at once
 * would be in each other's way.
 */
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { ensureMpi } from "./kernels/ranks/mpirun.ts";
import { ensureChromium } from "./web/browser.ts";

for (const install of [installMissingDriver, ensureMpi, ensureChromium]) {
  // What could not be installed is told by the tests that need it, which fail.
  await install().catch(() => {});
}
