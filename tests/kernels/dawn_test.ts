/** How Dawn waits, on its backend that computes nothing and needs no GPU. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { createDawn } from "../../kernels/host/dawn.ts";

Deno.test("Dawn polls by a timer, and the global setImmediate stays as it was", async () => {
  const { setImmediate, setTimeout } = globalThis;
  const pauses: (number | undefined)[] = [];
  let polls = 0;
  const spies = {
    setTimeout: (task: () => void, pause?: number) => {
      pauses.push(pause);
      return setTimeout(task, pause);
    },
    // What Dawn asks for by itself would come here.
    setImmediate: (task: () => void) => {
      polls++;
      setImmediate(task);
    },
  };
  const assertUnchanged = (when: string) =>
    assertStrictEquals<unknown>(globalThis.setImmediate, spies.setImmediate, when);
  Object.assign(globalThis, spies);
  try {
    const dawn = await createDawn(["backend=null"]);
    const device = await (await dawn.requestAdapter())!.requestDevice();
    const buffer = device.createBuffer({ size: 16, usage: 0x1 | 0x8 }); // to be mapped and written
    device.pushErrorScope("validation");
    for (const wait of [() => buffer.mapAsync(0x1), () => device.popErrorScope()]) {
      const waiting = wait();
      assertUnchanged("while Dawn waits");
      await waiting;
      assertUnchanged("when Dawn has waited");
    }
    device.destroy();
    assertEquals([new Set(pauses), polls], [new Set([1]), 0]);
  } finally {
    Object.assign(globalThis, { setImmediate, setTimeout });
  }
});
