import { assert } from "@std/assert";

/** Installs a program on Debian where it is missing; without it the tests that need it fail. */
export async function ensureProgram(name: string, debianPackage: string): Promise<void> {
  if (await works(name)) return;
  const install =
    `apt-get update -qq; apt-get install -qq -y --no-install-recommends ${debianPackage}`;
  if (Deno.uid() === 0) {
    console.log(`${name} was not found: installing ${debianPackage} by apt-get ...`);
    await new Deno.Command("sh", {
      args: ["-c", `${install} -o DPkg::Lock::Timeout=120`],
      env: { DEBIAN_FRONTEND: "noninteractive" },
    }).output();
  }
  assert(await works(name), `${name} is missing; install it as root: ${install}`);
}

async function works(name: string): Promise<boolean> {
  try {
    return (await new Deno.Command(name, { args: ["--version"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
