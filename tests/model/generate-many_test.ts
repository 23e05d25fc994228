import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { goldenModel } from "./golden-model.ts";

const { model, inputIds: [ids], config } = await goldenModel("steel-tiny");
/** Of different lengths. */
const PROMPTS = [ids.slice(0, 7), ids.slice(2, 5), ids.slice(1, 12), ids.slice(3, 4)];

Deno.test("each prompt is continued as it would be alone, whatever the batch", async () => {
  const seeds = [3, 1, 4, 1];
  for (const sampling of [{}, { temperature: 1.5, topP: 0.9 }, { temperature: 2, stopIds: [9] }]) {
    const options = { maxTokens: 6, ...sampling };
    const alone: number[][] = [];
    for (const [i, prompt] of PROMPTS.entries()) {
      const tokens = model.generate(prompt, { ...options, seed: seeds[i] });
      alone.push(await Array.fromAsync(tokens, ({ id }) => id));
    }
    for (const batch of [undefined, 1, 3]) {
      const together = await model.generateMany(PROMPTS, { ...options, seed: seeds, batch });
      assertEquals(together.map(({ ids }) => ids), alone);
    }
  }
});

Deno.test("one seed serves all prompts", async () => {
  const options = { maxTokens: 5, temperature: 2, seed: 8 };
  const [first, second] = await model.generateMany([PROMPTS[0], PROMPTS[0]], options);
  assertEquals(first, second);
  assertEquals(await model.generateMany([], options), []);
});

Deno.test("any number of sequences is scored, as if each were alone", async () => {
  const choices = [3, 1, 4];
  const alone: number[][] = [];
  for (const prompt of PROMPTS) alone.push(...await model.choiceLogits([prompt], choices));
  const all = await model.nextLogits(PROMPTS);
  for (const batch of [undefined, 1, 3]) {
    const scored: number[] = [];
    const onScored = (sequences: number) => scored.push(sequences);
    const together = await model.choiceLogits(PROMPTS, choices, { batch, onScored });
    assertEquals(scored.at(-1), PROMPTS.length);
    if (batch === 1) assertEquals(scored, [...PROMPTS.keys()].map((i) => i + 1));
    assertEquals(together.length, PROMPTS.length);
    together.flat().forEach((logit, i) => {
      const [row, column] = [Math.floor(i / choices.length), i % choices.length];
      // Kernels for other numbers of rows may add in another order: f32 rounds to 6e-8.
      assertNear(logit, alone[row][column]);
      assertNear(logit, all[row][choices[column]]);
    });
  }
});

Deno.test("what is wrong with one of many prompts is told by its number", async () => {
  const cases: [() => Promise<unknown>, string][] = [
    [() => model.generateMany([ids, []]), "Prompt 1 is empty"],
    [() => model.generateMany([ids, [config.vocabSize]]), "Sequence 1 has token id"],
    [() => model.generateMany([ids, ids], { seed: [1] }), "There are 2 prompts, but 1 seeds"],
    [() => model.generateMany([ids], { seed: -1 }), "seed is -1"],
    [() => model.generateMany([ids], { batch: 0 }), "batch is 0; expected a whole number"],
  ];
  for (const [ask, expected] of cases) await assertRejects(ask, UserError, expected);
});

function assertNear(actual: number, expected: number): void {
  const error = Math.abs(actual - expected);
  if (error > 1e-5) throw new Error(`${actual} is off by ${error}`);
}
