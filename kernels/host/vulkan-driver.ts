import { UserError } from "../runtime/user-error.ts";
import { NO_INSTALL } from "./command-arguments.ts";
import { type AptGetResult, byHand, installPackages } from "./install-packages.ts";

const PACKAGES = ["libvulkan1", "mesa-vulkan-drivers"];
const APT_GET = "/usr/bin/apt-get";

/** Where drivers register themselves with the Vulkan loader. */
const DRIVER_FOLDERS = [
  "/etc/vulkan/icd.d",
  "/usr/local/share/vulkan/icd.d",
  "/usr/share/vulkan/icd.d",
];

/**
 * Makes WebGPU usable on a bare Linux machine. Commands call it before they open a GPU, once their
 * arguments are known to be right; no library call does. Where there is no Vulkan driver at all, it
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
  if (Deno.build.os !== "linux") return;
  if (await mayInstall() && !hasDriver()) await installMesa();
}

async function mayInstall(): Promise<boolean> {
  const needed: Deno.PermissionDescriptor[] = [
    { name: "env", variable: "VK_DRIVER_FILES" },
    { name: "env", variable: "VK_ICD_FILENAMES" },
    { name: "read", path: "/etc" },
    { name: "read", path: "/usr" },
    { name: "sys", kind: "uid" },
    { name: "run", command: APT_GET },
  ];
  const granted = await Promise.all(needed.map(isGranted));
  return granted.every(Boolean) && Deno.uid() === 0 && exists(APT_GET);
}

function hasDriver(): boolean {
  // The loader then looks nowhere else: whoever set one of these has chosen a driver.
  if (Deno.env.has("VK_DRIVER_FILES") || Deno.env.has("VK_ICD_FILENAMES")) return true;
  return hasLoader() &&
    DRIVER_FOLDERS.some((folder) =>
      exists(folder) && [...Deno.readDirSync(folder)].some(({ name }) => name.endsWith(".json"))
    );
}

/** Whether the dynamic linker knows the Vulkan loader: its cache holds the names as plain text. */
function hasLoader(): boolean {
  const cache = "/etc/ld.so.cache";
  return exists(cache) &&
    new TextDecoder("latin1").decode(Deno.readFileSync(cache)).includes("libvulkan.so.1");
}

async function installMesa(): Promise<void> {
  if (Deno.args.includes(NO_INSTALL)) {
    throw new UserError(
      `No Vulkan driver was found, and ${NO_INSTALL} forbids to install one. Install it by hand: ` +
        byHand(PACKAGES),
    );
  }
  console.error(`No Vulkan driver found: installing ${PACKAGES.join(" and ")} by apt-get ...`);
  const added = await installPackages(PACKAGES, aptGet);
  console.error(
    added.length === 0
      ? "Both are there already: they have registered no driver with the Vulkan loader."
      : `Installed by apt-get: ${added.join(", ")}. No other package of this machine was changed.`,
  );
}

async function aptGet(...args: string[]): Promise<AptGetResult> {
  const { success, stdout, stderr } = await new Deno.Command(APT_GET, {
    args: ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { success, output: new TextDecoder().decode(success ? stdout : stderr).trim() };
}

async function isGranted(permission: Deno.PermissionDescriptor): Promise<boolean> {
  return (await Deno.permissions.query(permission)).state === "granted";
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
