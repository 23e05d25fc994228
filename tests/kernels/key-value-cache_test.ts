/** Attention of a new row over a cache against its definition in float64. */
import { Graph } from "../../kernels/runtime/graph.ts";
import { attendToCache, storeInCache } from "../../kernels/decoding/key-value-cache.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { fusedWidth } from "../../kernels/layers/rope.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import {
  assertClose,
  gpu,
  HALF_TOLERANCE,
  precisions,
  randomNumbers,
  TOLERANCE,
} from "./harness.ts";

const CAPACITY = 150;
/** Places of the new rows: the first, some, and more than are scored at a time. */
const POSITIONS = [0, 5, 149];
const HELD = 4;
/** Which sequences of the cache they belong to. */
const SEQUENCES = [3, 0, 2];

for (
  const [heads, keyValueHeads, headDim, window] of [
    [2, 2, 56],
    [4, 2, 6],
    [1, 1, 3],
    [2, 1, 640],
    // Windows of the new row alone, of rows in two turns of the lanes, and of more than there are.
    [2, 1, 6, 1],
    [2, 1, 6, 140],
    [2, 1, 6, 200],
  ]
) {
  const layout = { heads, keyValueHeads, headDim };
  const name = `cached attention of ${heads} heads of ${headDim}, ${keyValueHeads} of keys`;
  Deno.test(window ? `${name}, a window of ${window}` : name, async () => {
    const texts = POSITIONS.length;
    const width = 2 * keyValueHeads * headDim;
    const random = randomNumbers(5);
    const exact = (length: number) => Float32Array.from(Float16Array.from(random(length)));
    const rows = exact(texts * fusedWidth(layout)).map((value) => 2 * value);
    const held = exact(HELD * CAPACITY * width);
    const expected = reference(layout, rows, held, window);
    for (const precision of precisions) {
      for (const cpu of [true, false]) {
        const graph = new Graph({ ...gpu.capabilities, cpu });
        const dtype = precision === "mixed" ? "f16" : "f32";
        const qkv = graph.input("qkv", [texts, fusedWidth(layout)], dtype);
        const cache = graph.input("cache", [HELD, CAPACITY, width]);
        const sequence = graph.input("sequence", [texts], "u32");
        const positions = graph.input("positions", [texts], "u32");
        storeInCache(qkv, cache, sequence, positions, layout);
        const y = graph.keep(
          graph.convert(attendToCache(qkv, cache, sequence, positions, layout, window), "f32"),
        );
        const plan = await new Draft(graph).build(gpu);
        upload(gpu, qkv, dtype === "f16" ? Float16Array.from(rows) : rows);
        upload(gpu, cache, held);
        upload(gpu, sequence, Uint32Array.from(SEQUENCES));
        upload(gpu, positions, Uint32Array.from(POSITIONS));
        plan.run();
        const tolerance = precision === "mixed" ? HALF_TOLERANCE : TOLERANCE;
        assertClose(`${precision}, cpu ${cpu}`, await download(gpu, y), expected, tolerance);
        plan.destroy();
      }
    }
  });
}

function reference(
  layout: { heads: number; keyValueHeads: number; headDim: number },
  rows: Float32Array,
  held: Float32Array,
  window = Infinity,
): Float64Array {
  const { heads, keyValueHeads, headDim } = layout;
  const width = 2 * keyValueHeads * headDim;
  const y = new Float64Array(POSITIONS.length * heads * headDim);
  POSITIONS.forEach((position, text) => {
    const row = rows.subarray(text * fusedWidth(layout), (text + 1) * fusedWidth(layout));
    const at = (place: number) => (SEQUENCES[text] * CAPACITY + place) * width;
    held.set(row.subarray(heads * headDim), at(position));
    for (let head = 0; head < heads; head++) {
      const key = Math.floor(head * keyValueHeads / heads) * headDim;
      const value = keyValueHeads * headDim + key;
      const weights = Array.from({ length: position + 1 }, (_, place) => {
        let score = 0;
        for (let d = 0; d < headDim; d++) {
          score += row[head * headDim + d] * held[at(place) + key + d];
        }
        return position - place < window ? Math.exp(score / Math.sqrt(headDim)) : 0;
      });
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let d = 0; d < headDim; d++) {
        for (const [place, weight] of weights.entries()) {
          y[(text * heads + head) * headDim + d] += weight / total * held[at(place) + value + d];
        }
      }
    }
  });
  return y;
}
