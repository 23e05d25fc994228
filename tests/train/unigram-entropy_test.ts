import { assertAlmostEquals, assertEquals } from "@std/assert";
import { unigramEntropy } from "../../train/batches/unigram-entropy.ts";

Deno.test("unigram entropy: of the targets' own frequencies, without padding", () => {
  // Targets are all tokens but a block's first: 5 twice, 6 and 7 once each; 0 is padding.
  const blocks = [Int32Array.of(9, 5, 6, 0, 0), Int32Array.of(9, 7, 5, 0, 0)];
  const expected = -(0.5 * Math.log(0.5) + 2 * 0.25 * Math.log(0.25));
  assertAlmostEquals(unigramEntropy(blocks, 0), expected, 1e-12);
  // Without padding, 0 is a token like another: four of eight.
  const whole = -(0.5 * Math.log(0.5) + 0.25 * Math.log(0.25) + 2 * 0.125 * Math.log(0.125));
  assertAlmostEquals(unigramEntropy(blocks), whole, 1e-12);
  assertEquals(
    unigramEntropy([Int32Array.of(1, 2, 2, 2)]),
    0,
    "a text of one token is no surprise",
  );
});
