import { startableEnvironment } from "./startable-environment.ts";
import { UserError } from "../runtime/user-error.ts";
import { NO_INSTALL } from "./command-arguments.ts";
import { isGranted } from "./permissions.ts";

const APT_GET = "/usr/bin/apt-get";

/** How apt-get ended. */
export interface AptGetResult {
  success: boolean;
  /** What it printed; its complaints where it failed. */
  output: string;
}

/** Runs apt-get with these arguments. */
export type AptGet = (...args: string[]) => Promise<AptGetResult>;

/** Something that commands need and that Debian has packages of. */
export interface Needed {
  /** What it is, as in `The Vulkan driver that WebGPU needs`. */
  readonly name: string;
  /** What was found missing, as a sentence begins: `No Vulkan driver was found`. */
  readonly missing: string;
  readonly packages: readonly string[];
}

/**
 * Whether this process may install Debian packages: it is root on Debian or Ubuntu, and has
 * `--allow-read=/usr`, `--allow-sys=uid` and `--allow-run=/usr/bin/apt-get`.
 */
export async function mayInstall(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const needed: Deno.PermissionDescriptor[] = [
    { name: "read", path: "/usr" },
    { name: "sys", kind: "uid" },
    { name: "run", command: APT_GET },
  ];
  const granted = await Promise.all(needed.map(isGranted));
  return granted.every(Boolean) && Deno.uid() === 0 && isThere(APT_GET);
}

/** Whether there is such a file or folder. */
export function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Installs what is missing where {@linkcode mayInstall} says so, and tells it on the terminal.
 *
 * @returns the names of the packages that were installed
 * @throws UserError with the command to run by hand if that fails, if `--no-install` forbids it, or if
 *   it would change packages that are there
 */
export async function installMissing(needed: Needed): Promise<string[]> {
  const { missing, packages } = needed;
  if (Deno.args.includes(NO_INSTALL)) {
    throw new UserError(
      `${missing}, and ${NO_INSTALL} forbids to install one. Install it by hand: ` +
        byHand(packages),
    );
  }
  console.error(`${missing}: installing ${packages.join(" and ")} by apt-get ...`);
  const added = await installPackages(needed, aptGet);
  if (added.length > 0) {
    console.error(
      `Installed by apt-get: ${added.join(", ")}. No other package of this machine was changed.`,
    );
  }
  return added;
}

/** The command that installs packages, for a person to run. */
export function byHand(packages: readonly string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/**
 * Installs Debian packages with what they need, where they are missing. No package that is there is
 * upgraded or removed: apt-get says first what it would do, and nothing is done if that is more.
 *
 * @returns the names of the packages that were installed
 * @throws UserError with the command to run by hand, if apt-get fails or would change other packages
 */
export async function installPackages(
  { name, packages }: Pick<Needed, "name" | "packages">,
  aptGet: AptGet,
): Promise<string[]> {
  const advice = `Install it by hand: ${byHand(packages)}`;
  const install = ["install", "--no-install-recommends", "--no-upgrade", "--no-remove"];
  await aptGet("update"); // a source that fails matters only if the packages are not found
  const simulated = await aptGet("-s", ...install, ...packages);
  const { added, changed } = plannedBy(simulated.output);
  if (changed.length > 0) {
    throw new UserError(
      `${name} was not installed, as apt-get would upgrade or remove packages of this machine: ` +
        `${changed.join(", ")}. ${advice}`,
    );
  }
  const done = simulated.success ? await aptGet(...install, ...packages) : simulated;
  if (done.success) return added;
  throw new UserError(`${name} could not be installed:\n${done.output}\n${advice}`);
}

async function aptGet(...args: string[]): Promise<AptGetResult> {
  const { success, stdout, stderr } = await new Deno.Command(APT_GET, {
    args: ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120", ...args],
    env: { ...startableEnvironment(), DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { success, output: new TextDecoder().decode(success ? stdout : stderr).trim() };
}

/** The packages that a simulation would add, and those of the machine that it would change. */
function plannedBy(simulation: string): { added: string[]; changed: string[] } {
  // An upgrade names the version that is there in brackets: Inst NAME [VERSION] (VERSION ORIGIN)
  const lines = [...simulation.matchAll(/^(Inst|Remv) (\S+) (\[)?/gm)];
  const isNew = ([, action, , version]: RegExpMatchArray) => action === "Inst" && !version;
  const names = (found: RegExpMatchArray[]) => found.map(([, , name]) => name);
  return {
    added: names(lines.filter(isNew)),
    changed: names(lines.filter((line) => !isNew(line))),
  };
}
