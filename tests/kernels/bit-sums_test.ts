/** Sums over the bits of tensors, against the same in plain numbers. */
import { assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { bitSums } from "../../kernels/layers/bit-sums.ts";
import { Graph, persistent } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { downloadWords, type Elements, upload } from "../../kernels/runtime/transfer.ts";
import { gpu } from "./harness.ts";

/** The finalizer of MurmurHash3. */
function mixed(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** Of the bytes as they lie in the GPU's memory: in whole pieces of 16. */
function sumsOf(data: Elements): Uint32Array {
  const words = new Uint32Array(Math.ceil(data.byteLength / 16) * 4);
  new Uint8Array(words.buffer).set(new Uint8Array(data.buffer));
  const sums = new Uint32Array(256);
  for (const [i, word] of words.entries()) {
    sums[i >> 16] += mixed((word + Math.imul(i, 0x9e3779b1)) | 0);
  }
  return sums;
}

Deno.test("sums over bits are those of plain numbers, on every device", async () => {
  const values = new Random(1).fillNormal(new Float32Array(70_001), 1) as Float32Array<ArrayBuffer>;
  const data = [
    values,
    Float32Array.of(-0, NaN, Infinity),
    new Float16Array(values.subarray(0, 7)),
  ];
  const tensors = data.map((each, i) =>
    persistent(
      "weights",
      `tensor ${i}`,
      [each.length],
      each instanceof Float16Array ? "f16" : "f32",
    )
  );
  await allocate(gpu, tensors.map(({ storage }) => storage));
  data.forEach((each, i) => upload(gpu, tensors[i], each));
  for (const cpu of [true, false]) {
    const graph = new Graph({ ...gpu.capabilities, cpu });
    const sums = bitSums(graph, tensors);
    const plan = await new Draft(graph).build(gpu);
    plan.run();
    assertEquals([...await downloadWords(gpu, sums)], data.flatMap((each) => [...sumsOf(each)]));
    plan.destroy();
  }
});
