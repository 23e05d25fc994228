/** A GPU from nothing but an adapter, as in a browser, and what a failed one says. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { type Gpu, openAdapter } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph } from "../../kernels/runtime/graph.ts";
import { requireRoom } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

async function withAdapter(use: (gpu: Gpu) => Promise<void>): Promise<void> {
  await installMissingDriver();
  const gpu = await openAdapter((await navigator.gpu.requestAdapter())!);
  try {
    await use(gpu);
  } finally {
    gpu.close();
  }
}

/** What a statement makes of 1, 2 and 3. */
async function computed(gpu: Gpu, statement: string): Promise<number[]> {
  const graph = new Graph(gpu.capabilities);
  const [x, y] = [graph.input("x", [3]), graph.output("y", [3])];
  graph.parallel("statement", { x: read(x), y: write(y) }, statement);
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, x, Float32Array.of(1, 2, 3));
  plan.run();
  return [...await download(gpu, y)];
}

Deno.test("an adapter is all that a GPU needs", () =>
  withAdapter(async (gpu) => {
    assertEquals(await computed(gpu, "y[i] = 2 * x[i];"), [2, 4, 6]);
    assertEquals(gpu.capabilities.implementation, "browser");
    requireRoom(gpu, 1e18); // nobody tells how much memory is free, so nothing is checked
  }));

Deno.test("after a kernel that the GPU refuses, nothing is computed any more", () =>
  withAdapter(async (gpu) => {
    const refused = "The GPU refused a command";
    await assertRejects(() => computed(gpu, "y[i] = 2 * z[i];"), UserError, refused);
    assertThrows(() => gpu.check(), UserError, refused);
    await assertRejects(() => computed(gpu, "y[i] = 2 * x[i];"), UserError, refused);
  }));
