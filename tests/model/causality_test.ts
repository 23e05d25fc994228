/** What a token's logits depend on, and what they must not depend on. */
import { assert, assertEquals } from "@std/assert";
import { goldenModel, type GoldenName } from "./golden-model.ts";

/** Largest difference of the logits at each position, [sequence]. */
function differences(a: Float32Array, b: Float32Array, vocabulary: number): number[] {
  return Array.from({ length: a.length / vocabulary }, (_, position) => {
    let largest = 0;
    for (let i = position * vocabulary; i < (position + 1) * vocabulary; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  });
}

/** How far logits before the last token move when that token is another one. */
async function reachBack(name: GoldenName, changes = {}): Promise<number[]> {
  const { model, config, inputIds: [ids] } = await goldenModel(name, changes);
  const changed = ids.with(-1, (ids.at(-1)! + 1) % config.vocabSize);
  const [before, after] = [await model.logits([ids]), await model.logits([changed])];
  return differences(before, after, config.vocabSize).slice(0, -1);
}

Deno.test("with softmoe_v3 a changed last token moves every earlier logit: it is not causal", async () => {
  const moved = await reachBack("steel-tiny");
  assert(Math.min(...moved) > 1e-4, `moved by ${moved}`);
  console.log(`softmoe_v3: earlier logits moved by up to ${Math.max(...moved).toExponential(1)}`);
});

Deno.test("with raw and with softmoe_causal it moves none", async () => {
  assertEquals(Math.max(...await reachBack("dense-swiglu")), 0);
  const causal = { FFN_type: "softmoe_causal", segment_length: 4 };
  assertEquals(Math.max(...await reachBack("steel-gqa", causal)), 0);
});

for (const name of ["steel-tiny", "steel-gqa", "dense-swiglu"] as const) {
  Deno.test(`${name}: neither padding nor other sequences reach a token`, async () => {
    const { model, config: { vocabSize }, inputIds: [ids, others] } = await goldenModel(name);
    const sequences = [ids.slice(0, 5), others, ids.slice(3, 4), ids];
    const longest = Math.max(...sequences.map(({ length }) => length));
    // Both calls are made at once: they have to wait for each other.
    const [together, scores, ...alone] = await Promise.all([
      model.logits(sequences),
      model.logProbs(sequences, sequences),
      ...sequences.map((sequence) => model.logits([sequence])),
    ]);
    for (const [index, sequence] of sequences.entries()) {
      const start = index * longest * vocabSize;
      const end = start + sequence.length * vocabSize;
      const own = together.subarray(start, end);
      assert(Math.max(...differences(own, alone[index], vocabSize)) < 1e-5);
      assert(together.subarray(end, start + longest * vocabSize).every((logit) => logit === 0));
      const [scoresAlone] = await model.logProbs([sequence], [sequence]);
      scoresAlone.forEach((score, t) => assert(Math.abs(score - scores[index][t]) < 1e-5));
    }
  });
}
