import { installMissing, isThere, mayInstall } from "./install-packages.ts";
import { isGranted } from "./permissions.ts";

/** Where drivers register themselves with the Vulkan loader. */
const DRIVER_FOLDERS = [
  "/etc/vulkan/icd.d",
  "/usr/local/share/vulkan/icd.d",
  "/usr/share/vulkan/icd.d",
];

/**
 * Makes WebGPU usable on a bare Linux machine. Commands call it before they open a GPU, once their
 * arguments are known to be right, of several ranks on each machine one; no library call does. Where there is no Vulkan driver at all, it
 * installs Mesa's, which also runs on the CPU, if this is Debian or Ubuntu and the user is root; with
 * `--no-install` on the command line it refuses instead. It upgrades and removes nothing. Elsewhere it
 * does nothing, and opening a GPU says what to install.
 *
 * It does what its permissions allow and asks for none: `--allow-env=VK_DRIVER_FILES,
 * VK_ICD_FILENAMES`, `--allow-read=/etc,/usr`, `--allow-sys=uid` and
 * `--allow-run=/usr/bin/apt-get`.
 *
 * @throws UserError with the command to run by hand if the installation fails, is forbidden, or would change
 *   packages that are there
 */
export async function installMissingDriver(): Promise<void> {
  if (!await mayInstall() || !await mayLook() || hasDriver()) return;
  const added = await installMissing({
    name: "The Vulkan driver that WebGPU needs",
    missing: "No Vulkan driver was found",
    packages: ["libvulkan1", "mesa-vulkan-drivers"],
  });
  if (added.length > 0) return;
  console.error("Both are there already: they have registered no driver with the Vulkan loader.");
}

async function mayLook(): Promise<boolean> {
  const needed: Deno.PermissionDescriptor[] = [
    { name: "env", variable: "VK_DRIVER_FILES" },
    { name: "env", variable: "VK_ICD_FILENAMES" },
    { name: "read", path: "/etc" },
  ];
  return (await Promise.all(needed.map(isGranted))).every(Boolean);
}

function hasDriver(): boolean {
  // The loader then looks nowhere else: whoever set one of these has chosen a driver.
  if (Deno.env.has("VK_DRIVER_FILES") || Deno.env.has("VK_ICD_FILENAMES")) return true;
  return hasLoader() &&
    DRIVER_FOLDERS.some((folder) =>
      isThere(folder) && [...Deno.readDirSync(folder)].some(({ name }) => name.endsWith(".json"))
    );
}

/** Whether the dynamic linker knows the Vulkan loader: its cache holds the names as plain text. */
function hasLoader(): boolean {
  const cache = "/etc/ld.so.cache";
  return isThere(cache) &&
    new TextDecoder("latin1").decode(Deno.readFileSync(cache)).includes("libvulkan.so.1");
}
