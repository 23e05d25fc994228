/** Numbers in 8 bits, with a scale for each block of 128, against a reference in float64. */
import { assert, assertEquals } from "@std/assert";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, downloadWords, type Elements, upload } from "../../kernels/runtime/transfer.ts";
import { packAndApply } from "../../kernels/sharding/eight-bits.ts";
import { addInOrder, addUpdate, packSection, partWords } from "../../kernels/sharding/packing.ts";
import { type ChunkSection, chunksOf, GRAIN } from "../../kernels/sharding/shards.ts";
import { gpu, precisions, randomNumbers } from "./harness.ts";

/**
 * q is the nearest whole number to x / s, up to the rounding of 1 / s (2.5 units in WGSL) and of the
 * product: 127 times that is 4e-5 of a step.
 */
const HALF_A_STEP = 0.5 + 1e-4;

/** Sections of a piece that begins at element 128, as chunks of so many words cut it. */
function sectionsOf(tensor: Tensor, blocks: number, capacity: number): ChunkSection[] {
  const piece = { tensor, first: GRAIN, count: blocks * GRAIN };
  return chunksOf([piece], capacity, () => "int8").flatMap(({ sections }) => sections);
}

/** A parameter with room for one more block before and one after. */
function parameter(blocks: number, hasHalf: boolean): Tensor {
  const shape = [(blocks + 2) * GRAIN];
  const tensor = persistent("weights", "weights", shape);
  tensor.gradient = persistent("gradients", "gradient", shape);
  if (hasHalf) tensor.half = persistent("half weights", "half", shape, "f16");
  return tensor;
}

/** Runs what is recorded, and gives its tensors numbers before. */
async function run(
  record: (graph: Graph) => void,
  numbers: readonly (readonly [Tensor, Elements])[],
): Promise<void> {
  const graph = new Graph(gpu.capabilities);
  record(graph);
  await allocate(gpu, numbers.map(([{ storage }]) => storage));
  const plan = await new Draft(graph).build(gpu);
  for (const [tensor, values] of numbers) upload(gpu, tensor, values);
  plan.run();
}

/** What the words of a section stand for: q and s of each element. */
function unpacked(words: Uint32Array, { word, count }: ChunkSection): { q: number; s: number }[] {
  const bytes = new Int8Array(words.buffer, 4 * word, count);
  const scales = new Float32Array(words.buffer, 4 * word + count, count / GRAIN);
  return Array.from(bytes, (q, i) => ({ q, s: scales[Math.floor(i / GRAIN)] }));
}

/** Blocks that are not like others, by their place. */
const BLOCKS: ((x: number, i: number) => number)[] = [
  (x) => x,
  () => 0,
  (x, i) => i === 77 ? -1e30 : x,
  (x, i) => i === 127 ? NaN : x,
  (x, i) => i === 0 ? -Infinity : x,
  (x) => 1e-40 * x, // too small for a scale that is not denormal
  (x, i) => i === 64 ? 3.4e38 : 1e38 * Math.sign(x),
  (_, i) => (i - 64) / 8, // -8 is the largest: q of -127
  (x) => 1e-20 * x,
];

/** Numbers of a piece, whose blocks are all of these in turn. */
function awkward(count: number, seed: number): Float32Array<ArrayBuffer> {
  return randomNumbers(seed)(count).map((x, i) =>
    BLOCKS[Math.floor(i / GRAIN) % BLOCKS.length](x, i % GRAIN)
  );
}

/** A piece of so many blocks, in chunks of so many words: one, some for each, the last one shorter. */
const SHAPES = [[1, 64], [9, 64 * 5], [32, 1088], [33, 1152], [70, 1152]];

for (const [blocks, capacity] of SHAPES) {
  Deno.test(`${blocks} blocks in 8 bits, in chunks of ${capacity} words: each number within half a step`, async () => {
    const tensor = parameter(blocks, false);
    const gradient = tensor.gradient!;
    for (const section of sectionsOf(tensor, blocks, capacity)) {
      const { first, count } = section;
      const before = awkward(gradient.size, 1);
      const words = persistent("exchange", "words", [capacity], "u32");
      await run(
        (graph) => packSection(graph, section, gradient, words),
        [[gradient, before], [words, new Uint32Array(capacity).fill(7)]],
      );
      const packed = await downloadWords(gpu, words);
      assertEquals(section.words, 33 * count / GRAIN);
      assert(packed.subarray(section.words).every((word) => word === 7), "nothing behind it");
      const numbers = before.subarray(first, first + count);
      unpacked(packed, section).forEach(({ q, s }, i) => {
        const block = numbers.subarray(i - i % GRAIN, i - i % GRAIN + GRAIN);
        const largest = block.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const what = `${q} times ${s} for ${numbers[i]} at ${i}`;
        if (!Number.isFinite(largest)) return assert(Number.isNaN(s), what);
        if (largest < 1e-37) return assertEquals([q, s], [0, 0], what);
        const [bits] = new Uint32Array(Float32Array.of(s).buffer);
        assertEquals(bits % 128, 0, "17 significant bits");
        assert(Math.abs(127 * s / largest - 1) <= 2 ** -16 + 2 ** -23, what);
        assert(Math.abs(numbers[i] / s - q) <= HALF_A_STEP && Math.abs(q) <= 127, what);
      });
      const after = before.slice().fill(0, first, first + count);
      assertEquals(await download(gpu, gradient), after);
    }
  });
}

for (const ranks of [2, 3, 4]) {
  Deno.test(`gradients in 8 bits of ${ranks} ranks are added up in their order`, async () => {
    const blocks = BLOCKS.length + 1;
    const capacity = 64 * 4;
    const tensor = parameter(blocks, false);
    const gradient = tensor.gradient!;
    const rank = 1;
    for (const section of sectionsOf(tensor, blocks, capacity)) {
      const { first, count } = section;
      const own = randomNumbers(9)(gradient.size);
      const received = persistent("exchange", "received", [(ranks - 1) * capacity], "u32");
      const words = new Uint32Array((ranks - 1) * capacity);
      const parts: { q: number; s: number }[][] = [];
      for (let place = 0; place < ranks - 1; place++) {
        const part = persistent("exchange", "part", [capacity], "u32");
        await run(
          (graph) => packSection(graph, section, gradient, part),
          [[gradient, awkward(gradient.size, 2 + place)]],
        );
        const packed = await downloadWords(gpu, part);
        parts.push(unpacked(packed, section));
        words.set(
          packed.subarray(section.word, section.word + section.words),
          section.word * (ranks - 1) + place * partWords(section),
        );
      }
      await run(
        (graph) => addInOrder(graph, section, gradient, received, { rank, size: ranks }),
        [
          [gradient, own],
          [received, words],
        ],
      );
      const expected = own.slice();
      for (let i = 0; i < count; i++) {
        const summands = parts.map(([...part]) => part[i].q * part[i].s);
        summands.splice(rank, 0, own[first + i]);
        expected[first + i] = summands.reduce((sum, x) => Math.fround(sum + x), 0);
      }
      assertEquals(await download(gpu, gradient), expected);
    }
  });
}

for (const precision of precisions) {
  Deno.test(`an update in 8 bits gives the same weights to who rounds it and who takes it, ${precision}`, async () => {
    for (const [blocks, capacity] of SHAPES) {
      const [giver, taker] = [0, 1].map(() => parameter(blocks, precision === "mixed"));
      const old = randomNumbers(4)(giver.size);
      const wanted = awkward(giver.size, 5);
      for (const section of sectionsOf(giver, blocks, capacity)) {
        const { first, count } = section;
        const [words, plain] = ["words", "plain"].map((name) =>
          persistent("exchange", name, [capacity], "u32")
        );
        const halves = [giver, taker].flatMap(({ half }) => half ?? []);
        await allocate(gpu, halves.map(({ storage }) => storage));
        await run(
          (graph) => packAndApply(graph, section, words),
          [[giver, old], [giver.gradient!, wanted]],
        );
        const after = wanted.slice().fill(0, first, first + count);
        assertEquals(await download(gpu, giver.gradient!), after, "the gradient");
        const packed = await downloadWords(gpu, words);
        await run(
          (graph) => packSection(graph, section, giver.gradient!, plain),
          [[giver.gradient!, wanted]],
        );
        assertEquals(await downloadWords(gpu, plain), packed, "as a gradient is packed");
        await run(
          (graph) => addUpdate(graph, section, taker, words, 0),
          [
            [taker, old],
            [words, packed],
          ],
        );
        const expected = old.slice();
        unpacked(packed, section).forEach(({ q, s }, i) =>
          expected[first + i] = Math.fround(old[first + i] + q * s)
        );
        assertEquals(await download(gpu, giver), expected, "who rounds it");
        assertEquals(await download(gpu, taker), expected, "who takes it");
        if (!giver.half) continue;
        const bits = await download(gpu, giver.half, 0, giver.size / 2);
        const half = new Float16Array(bits.buffer).subarray(first, first + count);
        const rounded = Float16Array.from(expected.subarray(first, first + count));
        assertEquals(Float32Array.from(half), Float32Array.from(rounded), "in f16");
      }
    }
  });
}
