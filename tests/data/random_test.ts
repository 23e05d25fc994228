import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { Random, shuffled } from "../../data/random.ts";

Deno.test("random: seeds and streams give different numbers", () => {
  const first = [new Random(1), new Random(2), new Random(1, 1)].map((random) => random.uint32());
  assertEquals(new Set(first).size, 3);
});

Deno.test("random: normal deviates have the normal distribution's shares", () => {
  const values = new Random(1).fillNormal(new Float32Array(1_000_000), 2);
  const shareBelow = (bound: number) => values.filter((x) => x < bound).length / values.length;
  // The distribution function at these bounds, in standard deviations of 2; four standard errors.
  const expected = {
    "-8": 3.167e-5,
    "-4": 0.02275,
    "-1": 0.30854,
    "0": 0.5,
    "2": 0.84134,
    "7": 0.99977,
  };
  for (const [bound, share] of Object.entries(expected)) {
    const standardError = Math.sqrt(share * (1 - share) / values.length);
    assertAlmostEquals(shareBelow(Number(bound)), share, 4 * standardError + 1e-5);
  }
});

Deno.test("random: a shuffle holds every number once and differs by seed and stream", () => {
  const order = shuffled(1000, 3407);
  assertEquals([...order].sort((a, b) => a - b), [...Array(1000).keys()]);
  assertEquals(shuffled(1000, 3407), order);
  assertNotEquals(shuffled(1000, 3408), order);
  assertNotEquals(shuffled(1000, 3407, 1), order);
  assertEquals(shuffled(0, 1).length, 0);
});

Deno.test("random: every permutation is as likely as any other", () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const order = shuffled(3, seed).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assertEquals(counts.size, 6);
  for (const count of counts.values()) assert(Math.abs(count - 1000) < 5 * Math.sqrt(1000));
});
