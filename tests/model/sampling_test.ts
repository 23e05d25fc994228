import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { chooseToken, type SamplingOptions } from "../../model/inference/sampling.ts";

/** Logits with the probabilities 0.4, 0.05, 0.3, 0.05, 0.2. */
const LOGITS = [0.4, 0.05, 0.3, 0.05, 0.2].map(Math.log);

/** Share of each id among many draws. */
function shares(options: SamplingOptions, logits = LOGITS): number[] {
  const random = new Random(1);
  const counts = LOGITS.map(() => 0);
  const draws = 20_000;
  for (let i = 0; i < draws; i++) {
    counts[chooseToken(Float32Array.from(logits), random, options)]++;
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
  const choose = (logits: number[]) => chooseToken(Float32Array.from(logits), new Random(1), {});
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
  assertShares(shares({ temperature: 1, topP: 0 }), [1, 0, 0, 0, 0]);
});

Deno.test("sampling: top-k keeps all that are as likely as the last", () => {
  assertShares(shares({ temperature: 1, topK: 4 }), [0.4, 0.05, 0.3, 0.05, 0.2]);
  assertShares(shares({ temperature: 1, topK: 9 }), [0.4, 0.05, 0.3, 0.05, 0.2]);
  const suppressed = LOGITS.with(0, -Infinity).with(2, -Infinity).with(4, -Infinity);
  assertShares(shares({ temperature: 1, topK: 1 }, suppressed), [0, 0.5, 0, 0.5, 0]);
});
