/** Dropout: what is kept, by how much it grows, and its gradient. */
import { assert } from "@std/assert";
import { dropout } from "../../kernels/layers/dropout.ts";
import { checkOperator } from "./harness.ts";

/** Whether a number is kept: the hash of its place, computed anew. */
function isKept(place: number, seed: number, salt: number, rate: number): boolean {
  const mix = (bits: number) => {
    bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
    bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
    return bits ^ (bits >>> 16);
  };
  const key = seed ^ Math.imul(salt, 0x9e3779b9);
  return mix(mix(place) ^ key) >>> 0 >= rate * 2 ** 32;
}

Deno.test("dropout keeps a share of the numbers, and drops the same of their gradients", async () => {
  const [rate, seed, salt, size] = [0.25, 12345, 7, 4096];
  const kept = Array.from({ length: size }, (_, i) => isKept(i, seed, salt, rate));
  const share = kept.filter((is) => is).length / size;
  assert(Math.abs(share - (1 - rate)) < 3 * Math.sqrt(rate * (1 - rate) / size), `${share}`);
  const other = kept.filter((is, i) => is !== isKept(i, seed + 1, salt, rate)).length;
  assert(Math.abs(other / size - 2 * rate * (1 - rate)) < 0.03, "another seed drops others");
  await checkOperator({
    inputs: {
      x: { shape: [4, 32], operand: true },
      seed: { shape: [1], data: Uint32Array.of(seed) },
      salt: { shape: [1], data: Uint32Array.of(salt) },
    },
    record: ({ x, seed, salt }) => dropout(x, { rate, seed, salt }),
    reference: ({ x }) => x.map((value, i) => isKept(i, seed, salt, rate) ? value / (1 - rate) : 0),
  });
});
