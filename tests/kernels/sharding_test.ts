/** Gradients and weights between ranks that are all in this process, in chunks of a few words. */
import { assert, assertEquals } from "@std/assert";
import { read, update, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { AllGather } from "../../kernels/sharding/all-gather.ts";
import { ComputationInParts } from "../../kernels/sharding/computation-in-parts.ts";
import { ReduceScatter } from "../../kernels/sharding/reduce-scatter.ts";
import { type ExchangeFormat, shardsOf } from "../../kernels/sharding/shards.ts";
import { Staging } from "../../kernels/sharding/staging.ts";
import { gpu, randomNumbers } from "./harness.ts";
import { ranksInProcess } from "./ranks/in-process.ts";

/** Not multiples of anything; the second and the last are read in f16 alone, the fourth also. */
const SIZES = [2050, 7, 384, 1536];
const HALVES = [1, 3, 4];
const isReadWhole = ({ size }: Tensor) => size !== 2050 && size !== 1536;
const RANKS = 3;
/** So many numbers in a row, the least of which is 112 and the greatest 127. */
const PERIOD = 16;
/** What an element's update is: of 7 bits, so that bf16 holds it, and int8 in any block of 128. */
const updateOf = (element: number) => (127 - element % PERIOD) * 2 ** -14;
/** Numbers that int8 holds in any block of 128: whole ones, with 127 among them, over 32. */
const inEightBits = (x: number, i: number) =>
  i % PERIOD === 0 ? 127 / 32 : Math.max(-127, Math.min(127, Math.round(32 * x))) / 32;

/** What is exchanged, and when. */
interface Case {
  readonly format: ExchangeFormat;
  /** Words of a chunk. */
  readonly capacity: number;
  /** Elements of the first tensor. */
  readonly first: number;
  /** When the micro-batch adds to a gradient: the last first, or each before its tensor is read. */
  readonly adds: "behind all reads" | "before each read";
  /** The tensor that it reads before all others, which it reads in order. */
  readonly readsFirst?: number;
}

const CASES: readonly Case[] = [
  // Pieces are cut, and several fit into one chunk.
  { format: "f32", capacity: 192, first: 1001, adds: "behind all reads" },
  { format: "bf16", capacity: 192, first: 1001, adds: "behind all reads" },
  // More chunks of one tensor than can be under way: some are still to leave when the micro-batch begins.
  { format: "bf16", capacity: 128, first: 9216, adds: "before each read" },
  { format: "int8", capacity: 192, first: 1001, adds: "behind all reads" },
  // What is read first is one rank's alone, which rounds and applies its update late.
  { format: "int8", capacity: 128, first: 9216, adds: "behind all reads", readsFirst: 3 },
];

/** The parameters of one rank. */
async function parameters(values: Float32Array<ArrayBuffer>[]): Promise<Tensor[]> {
  const tensors = values.map(({ length: size }, i) => {
    const tensor = persistent("weights", `tensor ${i}`, [size]);
    tensor.gradient = persistent("gradients", `gradient ${i}`, [size]);
    if (HALVES.includes(i)) tensor.half = persistent("half weights", `half ${i}`, [size], "f16");
    return tensor;
  });
  const all = tensors.flatMap((tensor) => [tensor, tensor.gradient!, tensor.half ?? []].flat());
  await allocate(gpu, all.map(({ storage }) => storage));
  tensors.forEach((tensor, i) => {
    upload(gpu, tensor, values[i]);
    if (tensor.half) upload(gpu, tensor.half, new Float16Array(values[i]));
  });
  return tensors;
}

/** A micro-batch: it reads the tensors, and adds 1 to each one's gradient. */
function readsAll(
  tensors: readonly Tensor[],
  { adds, readsFirst = 0 }: Pick<Case, "adds" | "readsFirst">,
): { draft: Draft; outputs: Tensor[] } {
  const graph = new Graph(gpu.capabilities);
  const add = ({ gradient }: Tensor) =>
    graph.parallel("add", { gradient: update(gradient!) }, "gradient[i] += number(1);");
  const outputs = tensors.map(({ shape }) => graph.output("output", shape));
  const order = new Set([readsFirst, ...tensors.keys()]);
  for (const i of order) {
    const [tensor, output] = [tensors[i], outputs[i]];
    if (adds === "before each read") add(tensor);
    const weights = read(isReadWhole(tensor) ? tensor : tensor.half!);
    graph.parallel("read", { weights, output: write(output) }, "output[i] = number(weights[i]);");
  }
  if (adds === "behind all reads") tensors.toReversed().forEach(add);
  return { draft: new Draft(graph), outputs };
}

/** To the nearest bf16, ties to even, by the arithmetic of f32. */
function toBf16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  if (Number.isNaN(x)) return x;
  const rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(Uint32Array.of(rounded).buffer)[0];
}

for (const { format, capacity, first, ...microBatches } of CASES) {
  const what = `${first} and others in ${format}, added to ${microBatches.adds}`;
  Deno.test(`${RANKS} ranks add gradients up and share weights exactly, ${what}`, async () => {
    const random = randomNumbers(3);
    const sizes = [first, ...SIZES];
    const values = sizes.map((size) => Float32Array.from(random(size)));
    const gradients = Array.from(
      { length: RANKS },
      () => sizes.map((size) => format === "int8" ? random(size).map(inEightBits) : random(size)),
    );
    // A tie, overflow, and what must not become a finite number.
    if (format !== "int8") gradients[1][0].set([1 + 2 ** -8, 3e38, Infinity, -Infinity, NaN]);
    const isWhole = (tensor: Tensor) => format === "int8" || isReadWhole(tensor);
    const all = await Promise.all(
      ranksInProcess(RANKS).map(async (ranks) => {
        const tensors = await parameters(values);
        tensors.forEach((tensor, i) => upload(gpu, tensor.gradient!, gradients[ranks.rank][i]));
        const shards = shardsOf(tensors, RANKS);
        const words = {
          outgoing: persistent("exchange", "outgoing", [capacity], "u32"),
          incoming: persistent("exchange", "incoming", [(RANKS - 1) * capacity], "u32"),
        };
        const microBatch = readsAll(tensors, microBatches);
        const options = [
          gpu.capabilities,
          ranks,
          shards,
          format,
          words,
          capacity,
          microBatch.draft,
        ] as const;
        const [scatter, gather] = [
          new ReduceScatter(...options),
          new AllGather(...options, isWhole),
        ];
        for (const each of [scatter, gather]) await each.build(gpu);
        const plan = await microBatch.draft.build(gpu);
        const staging = await Staging.of(gpu, ranks, capacity);
        await scatter.run(gpu, staging);
        const own = new Set(
          shards[ranks.rank].flatMap(({ tensor, first, count }) =>
            Array.from({ length: count }, (_, i) => `${tensors.indexOf(tensor)} ${first + i}`)
          ),
        );
        for (const [i, { gradient }] of tensors.entries()) {
          const sums = await download(gpu, gradient!);
          sums.forEach((sum, element) => {
            let expected = 0;
            const piece = shards[ranks.rank].find(({ tensor, first, count }) =>
              tensor === tensors[i] && first <= element && element < first + count
            );
            for (let from = 0; from < RANKS && piece; from++) {
              const given = gradients[from][i][element];
              const isRounded = format === "bf16" && from !== ranks.rank && piece.count % 4 === 0;
              expected = Math.fround(expected + (isRounded ? toBf16(given) : given));
            }
            assertEquals(sum, expected, `rank ${ranks.rank}, tensor ${i}, element ${element}`);
          });
        }
        // What AdamW does to its own pieces: applies the update, leaves it in the gradient, or both.
        const unit = { f32: Infinity, bf16: 4, int8: 128 }[format];
        const isLeft = (i: number, element: number) =>
          isWhole(tensors[i]) &&
          shards[ranks.rank].some(({ tensor, first, count }) =>
            tensor === tensors[i] && first <= element && element < first + count &&
            count % unit === 0
          );
        for (const [i, tensor] of tensors.entries()) {
          const isApplied = (element: number) =>
            own.has(`${i} ${element}`) && !(format === "int8" && isLeft(i, element));
          const updated = values[i].map((value, element) =>
            value + (isApplied(element) ? updateOf(element) : 0)
          );
          upload(gpu, tensor, updated);
          if (tensor.half) upload(gpu, tensor.half, new Float16Array(updated));
          upload(
            gpu,
            tensor.gradient!,
            updated.map((_, element) => isLeft(i, element) ? updateOf(element) : 0),
          );
        }
        await gather.begin(gpu, staging);
        // The next micro-batch reads what has come, and adds to gradients that have left.
        const next = new ComputationInParts(gpu, plan);
        const submitted: number[] = [];
        await gather.submitted(gpu, {
          upTo: (end: number) => next.upTo(end) && submitted.push(end) > 0,
        } as ComputationInParts);
        next.upTo(Infinity);
        const parts = microBatches.readsFirst === undefined ? 2 : 1;
        assert(submitted.length >= parts, `in parts: up to ${submitted}`);
        for (const [i, output] of microBatch.outputs.entries()) {
          const updated = values[i].map((value, element) => value + updateOf(element));
          const read = isReadWhole(tensors[i]) ? updated : new Float16Array(updated);
          assertEquals(await download(gpu, output), Float32Array.from(read), `read ${i}`);
          const gradient = await download(gpu, tensors[i].gradient!);
          assertEquals(gradient, gradient.map(() => 1), `gradient ${i}`);
        }
        await gather.ended();
        const weights = await Promise.all(tensors.map(async (tensor) => {
          const whole = isWhole(tensor) ? await download(gpu, tensor) : undefined;
          const words = tensor.half && await download(gpu, tensor.half, 0, tensor.size / 2);
          return { whole, half: words && Float32Array.from(new Float16Array(words.buffer)) };
        }));
        staging.destroy();
        return { weights, own: own.size };
      }),
    );
    assertEquals(all.reduce((sum, { own }) => sum + own, 0), sizes.reduce((a, b) => a + b));
    assert(all.every(({ own }) => own > 0.9 * all[0].own), "equal shares");
    for (const { weights } of all) {
      weights.forEach(({ whole, half }, i) => {
        const updated = values[i].map((value, element) => value + updateOf(element));
        if (whole) assertEquals(whole, updated, `tensor ${i}`);
        if (half) assertEquals(half, Float32Array.from(new Float16Array(updated)), `half ${i}`);
      });
    }
  });
}
