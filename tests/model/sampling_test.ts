import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { chooseToken, type SamplingOptions } from "../../model/sampling.ts";

/** Logits with the probabilities 0.4, 0.05, 0.3, 0.05, 0.2. */
const LOGITS = [0.4, 0.05, 0.3, 0.05, 0.2].map(Math.log);

/** Share of each id among many draws. */
function shares(options: SamplingOptions, history: number[] = []): number[] {
  const random = new Random(1);
  const counts = LOGITS.map(() => 0);
  const draws = 20_000;
  for (let i = 0; i < draws; i++) {
    counts[chooseToken(Float32Array.from(LOGITS), history, random, options)]++;
  }
  return counts.map((count) => count / draws);
}

/** Shares of 20,000 draws err by 0.0035, one standard deviation, at most. */
function assertShares(actual: number[], expected: number[]): void {
  actual.forEach((share, id) => {
    assert(expected[id] === 0 ? share === 0 : Math.abs(share - expected[id]) < 0.015, `${actual}`);
  });
}

Deno.test("sampling: without options the likeliest token, the first among equals", () => {
  const choose = (logits: number[]) =>
    chooseToken(Float32Array.from(logits), [], new Random(1), {});
  assertEquals(choose(LOGITS), 0);
  assertEquals(choose([1, 3, 2, 3]), 1);
});

Deno.test("sampling: temperature divides the logits", () => {
  assertShares(shares({ temperature: 1 }), [0.4, 0.05, 0.3, 0.05, 0.2]);
  // p² / Σ p²
  const squares = [0.16, 0.0025, 0.09, 0.0025, 0.04].map((p) => p / 0.295);
  assertShares(shares({ temperature: 0.5 }), squares);
});

Deno.test("sampling: top-k and top-p keep the likeliest, top-p of what top-k left", () => {
  assertShares(shares({ temperature: 1, topK: 2 }), [4 / 7, 0, 3 / 7, 0, 0]);
  assertShares(shares({ temperature: 1, topP: 0.65 }), [4 / 7, 0, 3 / 7, 0, 0]);
  assertShares(shares({ temperature: 1, topP: 0.75 }), [4 / 9, 0, 3 / 9, 0, 2 / 9]);
  assertShares(shares({ temperature: 1, topK: 3, topP: 0.7 }), [4 / 7, 0, 3 / 7, 0, 0]);
  assertShares(shares({ temperature: 1, topP: 0.01 }), [1, 0, 0, 0, 0]);
});

Deno.test("sampling: top-k keeps all that are as likely as the last", () => {
  assertShares(shares({ temperature: 1, topK: 4 }), [0.4, 0.05, 0.3, 0.05, 0.2]);
  assertShares(shares({ temperature: 1, topK: 9 }), [0.4, 0.05, 0.3, 0.05, 0.2]);
  const suppressIds = [0, 2, 4];
  assertShares(shares({ temperature: 1, topK: 1, suppressIds }), [0, 0.5, 0, 0.5, 0]);
});

Deno.test("sampling: the repetition penalty makes every token already there less likely", () => {
  // Negative logits are multiplied: 0.4² = 0.16 and 0.3² = 0.09 beside 0.05, 0.05, 0.2.
  const expected = [0.16, 0.05, 0.09, 0.05, 0.2].map((p) => p / 0.55);
  assertShares(shares({ temperature: 1, repetitionPenalty: 2 }, [0, 2, 2]), expected);
  // Positive ones are divided.
  const choose = (history: number[]) =>
    chooseToken(Float32Array.of(3, 2), history, new Random(1), { repetitionPenalty: 2 });
  assertEquals([choose([]), choose([0]), choose([0, 1])], [0, 1, 0]);
});

Deno.test("sampling: suppressed tokens are never chosen", () => {
  assertShares(shares({ temperature: 1, suppressIds: [0, 3] }), [0, 1 / 11, 6 / 11, 0, 4 / 11]);
  const random = new Random(1);
  assertEquals(chooseToken(Float32Array.from(LOGITS), [], random, { suppressIds: [0] }), 2);
});
