/** Texts that join a running batch, each against what it would be alone. */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { type Prompt, RunningBatch } from "../../model/inference/running-batch.ts";
import type { SamplingOptions } from "../../model/inference/sampling.ts";
import { goldenModel, gpu } from "./golden-model.ts";

const { model, parameters, inputIds: [ids] } = await goldenModel("steel-tiny");
const CAPACITY = 64;
const NEEDS = { drawn: true, penalized: true, suppressIds: [] };

/** Texts of all kinds: likeliest tokens, drawn ones, penalties, stop tokens, logits. */
function promptsOf(seed: number): Prompt[] {
  const samplings: SamplingOptions[] = [
    {},
    { temperature: 1.2, topP: 0.9, repetitionPenalty: 1.3 },
    { temperature: 2 },
    { repetitionPenalty: 1.5 },
    { temperature: 0.7, topK: 3 },
  ];
  return samplings.map((sampling, i) => ({
    ids: ids.slice(i, 3 + 3 * i),
    maxTokens: 4 + 3 * i,
    sampling,
    random: new Random(seed, i),
    stopIds: new Set(i === 2 ? [9, 11] : []),
    wantsLogits: i === 3,
  }));
}

/** What a batch does with one text after another in turn. */
async function alone(prompts: Prompt[]): Promise<number[][]> {
  const written: number[][] = [];
  const batch = await RunningBatch.open(gpu, parameters, { texts: 1, capacity: CAPACITY }, NEEDS);
  for (const prompt of prompts) {
    const added = await batch.join([prompt]);
    while (batch.size > 0) added.push(...await batch.step());
    written.push(added.flatMap(({ token }) => token ? [token.id] : []));
  }
  await batch.close();
  return written;
}

Deno.test("texts that join, leave and are taken out at any time have the tokens of lone ones", async () => {
  const expected = [...await alone(promptsOf(1)), ...await alone(promptsOf(2))];
  const waiting = [...promptsOf(1), ...promptsOf(2)];
  const order = new Map(waiting.map((prompt, i) => [prompt, i]));
  const batch = await RunningBatch.open(gpu, parameters, { texts: 3, capacity: CAPACITY }, NEEDS);
  const written = waiting.map((): number[] => []);
  const when = new Random(7);
  const isLeaving = (prompt: Prompt) => order.get(prompt) === 4;
  let steps = 0;
  while (waiting.length > 0 || batch.size > 0) {
    const joins = batch.room > 0 && waiting.length > 0 && (batch.size === 0 || when.below(2) === 0);
    const added = joins ? await batch.join([waiting.shift()!]) : await batch.step();
    for (const { text, token } of added) {
      const place = order.get(text)!;
      if (token) written[place].push(token.id);
      if (isLeaving(text) && written[place].length === 5) batch.leave(text);
      if (place === 3) assertEquals(token?.logits?.length, model.config.vocabSize);
    }
    steps++;
  }
  assertEquals(batch.room, 3);
  await batch.close();
  assertEquals(written, expected.map((ids, i) => i === 4 ? ids.slice(0, 5) : ids));
  assert(steps < expected.flat().length, "texts went on together");
});

Deno.test("a text in a batch has the tokens that generate gives it", async () => {
  const [greedy, drawn] = promptsOf(0);
  const given = await Promise.all([greedy, drawn].map(async ({ ids, maxTokens, sampling }) => {
    const options = { ...sampling, maxTokens, seed: 0, stopIds: [] };
    return await Array.fromAsync(model.generate(ids, options), ({ id }) => id);
  }));
  assertEquals(await alone([greedy, { ...drawn, random: new Random(0) }]), given);
});
