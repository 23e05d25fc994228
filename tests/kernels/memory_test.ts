import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { gpu } from "./harness.ts";

Deno.test("a tensor too large to bind is refused before anything is allocated", () => {
  const graph = new Graph({ ...gpu.capabilities, maxBindingBytes: 4096 });
  const [small, large] = [graph.input("small", [1024]), graph.tensor("large", [1025])];
  const bindings = { small: read(small), large: write(large) };
  graph.elementwise("spread", 1025, bindings, "large[i] = small[i / 2u];");
  assertThrows(() => new Draft(graph), UserError, "spread: large [1025] is 4 kB");
  assertEquals(small.storage.buffer, undefined);
});

Deno.test("more rows than can be started at once are refused", () => {
  const graph = new Graph(gpu.capabilities);
  const rows = { rows: write(graph.tensor("rows", [70_000])) };
  const refused = () => graph.dispatch("rows", rows, "", [70_000]);
  assertThrows(refused, UserError, "at most 65535 a side");
});

Deno.test("more than the machine's memory is refused before anything is allocated", async () => {
  // A driver in software gives out any amount, and the process dies when it is used.
  const { total } = Deno.systemMemoryInfo();
  const software = Object.create(gpu, {
    capabilities: { value: { ...gpu.capabilities, cpu: true } },
  });
  const storages = Array.from(
    { length: Math.ceil(total / 1e9) + 1 },
    (_, i) => persistent("weights", `tensor ${i}`, [250_000_000]).storage,
  );
  await assertRejects(() => allocate(software, storages), UserError, "Too little memory");
  assertEquals(storages.filter(({ buffer }) => buffer).length, 0);

  const graph = new Graph({ ...gpu.capabilities, maxBindingBytes: 1e9 });
  const activations = storages.map(({ name }) => graph.tensor(name, [250_000_000]));
  for (const first of activations) graph.dispatch("fill", { first: write(first) }, "", [1]);
  for (const first of activations) graph.dispatch("use", { first: read(first) }, "", [1]);
  await assertRejects(() => new Draft(graph).build(software), UserError, "Too little memory");
});
