import { UserError } from "../runtime/user-error.ts";

/** How apt-get ended. */
export interface AptGetResult {
  success: boolean;
  /** What it printed; its complaints where it failed. */
  output: string;
}

/** Runs apt-get with these arguments. */
export type AptGet = (...args: string[]) => Promise<AptGetResult>;

/** The command that installs packages, for a person to run. */
export function byHand(packages: string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/**
 * Installs Debian packages with what they need, where they are missing. No package that is there is
 * upgraded or removed: apt-get says first what it would do, and nothing is done if that is more.
 *
 * @returns the names of the packages that were installed
 * @throws UserError with the command to run by hand, if apt-get fails or would change other packages
 */
export async function installPackages(packages: string[], aptGet: AptGet): Promise<string[]> {
  const advice = `Install it by hand: ${byHand(packages)}`;
  const install = ["install", "--no-install-recommends", "--no-upgrade", "--no-remove"];
  await aptGet("update"); // a source that fails matters only if the packages are not found
  const simulated = await aptGet("-s", ...install, ...packages);
  const { added, changed } = plannedBy(simulated.output);
  if (changed.length > 0) {
    throw new UserError(
      `The Vulkan driver that WebGPU needs was not installed, as apt-get would upgrade or remove ` +
        `packages of this machine: ${changed.join(", ")}. ${advice}`,
    );
  }
  const done = simulated.success ? await aptGet(...install, ...packages) : simulated;
  if (done.success) return added;
  throw new UserError(
    `The Vulkan driver that WebGPU needs could not be installed:\n${done.output}\n${advice}`,
  );
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
