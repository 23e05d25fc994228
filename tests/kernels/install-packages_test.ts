/** What is asked of apt-get, which is played by a script. */
import { assertEquals, assertRejects } from "@std/assert";
import { installPackages } from "../../kernels/host/install-packages.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** Installs two packages where apt-get's simulation prints `simulation`; the calls that were made. */
async function installing(simulation: string, calls: string[][]): Promise<string[]> {
  const needed = { name: "The driver", packages: ["libvulkan1", "mesa-vulkan-drivers"] };
  return await installPackages(needed, (...args) => {
    calls.push(args);
    return Promise.resolve({ success: true, output: args[0] === "-s" ? simulation : "" });
  });
}

Deno.test("missing packages are installed, and named with what they need", async () => {
  const calls: string[][] = [];
  const added = await installing(
    "Inst libdrm2 (2.4.114 Debian:12 [amd64])\n" +
      "Inst mesa-vulkan-drivers (22.3.6 Debian:12 [amd64]) []\n" +
      "Conf libdrm2 (2.4.114 Debian:12 [amd64])\n",
    calls,
  );
  assertEquals(added, ["libdrm2", "mesa-vulkan-drivers"]);
  assertEquals(calls.map(([first]) => first), ["update", "-s", "install"]);
  assertEquals(["--no-upgrade", "--no-remove"].every((flag) => calls[2].includes(flag)), true);
});

Deno.test("nothing is installed where apt-get would upgrade or remove a package", async () => {
  for (
    const change of ["Inst libgbm1 [22.3.6] (25.0.7 Debian:12 [amd64])", "Remv libgbm1 [22.3.6]"]
  ) {
    const calls: string[][] = [];
    await assertRejects(
      () => installing(`Inst mesa-vulkan-drivers (25.0.7 Debian:12 [amd64])\n${change}`, calls),
      UserError,
      "The driver was not installed, as apt-get would upgrade or remove packages of this machine: libgbm1. Install it by hand: apt-get update",
    );
    assertEquals(calls.map(([first]) => first), ["update", "-s"]);
  }
});
