/** Cached decoding against its definition, computed in float64 without a cache. */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { Decoder, type DecoderRow } from "../../model/inference/decoder.ts";
import { chooseToken, type SamplingOptions } from "../../model/inference/sampling.ts";
import { relativeError } from "../kernels/harness.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { goldenModel, gpu } from "./golden-model.ts";
import { networkInFloat64 } from "./network-in-float64.ts";
import { penalized } from "./penalized.ts";

/** Texts in these seats of a cache. */
function rowsIn(seats: number[], sampling: SamplingOptions = {}): DecoderRow[] {
  return seats.map((seat, i) => ({ seat, sampling, random: new Random(i + 1) }));
}

for (const name of ["steel-tiny", "steel-gqa", "dense-swiglu"] as const) {
  Deno.test(`${name}: the prompt is one pass, then each token passes the network alone`, async () => {
    const { parameters, config, inputIds, weights } = await goldenModel(name);
    // Two texts at once, with prompts of different lengths.
    const texts = [inputIds[0].slice(0, 12), inputIds[1].slice(0, 10)];
    const promptLengths = [7, 5];
    const steps = 5;
    const expected = texts.map((text, i) =>
      networkInFloat64(config, weights, text, [promptLengths[i], ...Array(steps).fill(1)])
    );

    const decoder = await Decoder.plan(gpu, parameters, 3, 64);
    const rows = rowsIn([2, 0]);
    await decoder.prefill(rows, texts.map((text, i) => text.slice(0, promptLengths[i])));
    let worst = 0;
    for (let step = 0; step <= steps; step++) {
      const logits = await decoder.logits(2);
      for (const [i, length] of promptLengths.entries()) {
        worst = Math.max(worst, relativeError(logits[i], expected[i][length - 1 + step]));
      }
      const ids = texts.map((text, i) => text[promptLengths[i] + step]);
      if (step < steps) await decoder.step(rows, ids);
    }
    decoder.destroy();
    console.log(`${name}: cached logits are off by ${worst.toExponential(1)} of their norm`);
    assert(worst < 1e-5);
  });
}

Deno.test("with raw, decoding gives the logits of a pass over the whole text; with softmoe_v3 not", async () => {
  for (const name of ["dense-swiglu", "steel-tiny"] as const) {
    const { model, parameters, config: { vocabSize }, inputIds: [ids] } = await goldenModel(name);
    const whole = (await model.logits([ids])).subarray((ids.length - 1) * vocabSize);
    const decoder = await Decoder.plan(gpu, parameters, 1, 64);
    await decoder.prefill(rowsIn([0]), [ids.slice(0, 3)]);
    for (const id of ids.slice(3)) await decoder.step(rowsIn([0]), [id]);
    const [logits] = await decoder.logits(1);
    decoder.destroy();
    assertEquals(relativeError(logits, whole) < 1e-5, name === "dense-swiglu");
  }
});

Deno.test("with softmoe_causal, every step gives the logits of a pass over the text so far", async () => {
  const changes = { FFN_type: "softmoe_causal", segment_length: 4 };
  const { model, parameters, config: { vocabSize }, inputIds } = await goldenModel(
    "steel-gqa",
    changes,
  );
  // Prompts that end within a segment, at its end, and in the first one.
  const lengths = [7, 8, 2];
  const texts = [inputIds[0], inputIds[1], inputIds[0].toReversed()];
  const whole = await model.logits(texts);
  const longest = Math.max(...texts.map(({ length }) => length));
  const decoder = await Decoder.plan(gpu, parameters, 4, 64);
  // The seats had other texts before.
  await decoder.prefill(rowsIn([0, 3]), [inputIds[1], inputIds[0]]);
  const rows = rowsIn([3, 0, 2]);
  await decoder.prefill(rows, texts.map((ids, i) => ids.slice(0, lengths[i])));
  let worst = 0;
  for (let step = 0; step < 6; step++) {
    if (step > 0) await decoder.step(rows, texts.map((ids, i) => ids[lengths[i] + step - 1]));
    for (const [i, logits] of (await decoder.logits(3)).entries()) {
      const first = (i * longest + lengths[i] + step - 1) * vocabSize;
      worst = Math.max(worst, relativeError(logits, whole.subarray(first, first + vocabSize)));
    }
  }
  decoder.destroy();
  // The same log-probabilities for text that is there already, of texts of different lengths.
  const some = texts.map((ids, i) => ids.slice(0, 9 - i));
  const labels = some.map((ids) => ids.with(-1, -100));
  const [passes, decoded] = [
    await model.logProbs(some, labels),
    await model.decodedLogProbs(some, labels),
  ];
  decoded.forEach((values, i) => worst = Math.max(worst, relativeError(values, passes[i])));
  console.log(`softmoe_causal: cached logits are off by ${worst.toExponential(1)} of their norm`);
  assert(worst < 1e-5);
  assertEquals(model.sharesPrefixes, false);
});

Deno.test("texts go on as if each step's logits were read and a token chosen from them", async () => {
  const { parameters, inputIds } = await goldenModel("steel-tiny");
  const prompts = [inputIds[0].slice(0, 7), inputIds[1].slice(0, 5)];
  const steps = 8;
  const drawn = { temperature: 0.9, topP: 0.8, repetitionPenalty: 1.3, suppressIds: [4] };
  for (const sampling of [{}, { repetitionPenalty: 1.3 }, drawn]) {
    const model = new LanguageModel(gpu, parameters);
    const options = { ...sampling, maxTokens: steps, seed: [1, 2], stopIds: [] };
    const written = (await model.generateMany(prompts, options)).map(({ ids }) => ids);

    const expected: number[][] = [];
    const reader = await Decoder.plan(gpu, parameters, 2, 64);
    const rows = rowsIn([0, 1]);
    await reader.prefill(rows, prompts);
    while (expected.length < steps) {
      const logits = await reader.logits(2);
      expected.push(prompts.map((prompt, i) => {
        const history = [...prompt, ...expected.map((ids) => ids[i])];
        return chooseToken(penalized(logits[i], history, sampling), rows[i].random, sampling);
      }));
      await reader.step(rows, expected.at(-1)!);
    }
    reader.destroy();
    assertEquals(written, prompts.map((_, i) => expected.map((ids) => ids[i])));
  }
});

Deno.test("a text that is full leaves the others alone", async () => {
  const { parameters, config, inputIds: [ids] } = await goldenModel("steel-tiny");
  const capacity = 16;
  const steps = 12;
  /** The ids that are chosen for each text. */
  const write = async (prompts: number[][]) => {
    const decoder = await Decoder.plan(gpu, parameters, prompts.length, capacity);
    const rows = rowsIn([...prompts.keys()]);
    await decoder.prefill(rows, prompts);
    const written: number[][] = [];
    for (let step = 0; step < steps; step++) {
      written.push((await decoder.choose(rows)).map(({ id }) => id));
      await decoder.step(rows);
    }
    decoder.destroy();
    return written;
  };
  const full = Array.from({ length: capacity }, (_, i) => (7 * i) % config.vocabSize);
  const short = ids.slice(0, 5);
  const alone = await write([short]);
  assertEquals((await write([full, short])).map(([, id]) => [id]), alone);
});

Deno.test("generate adds tokens until the last one allowed, the same ones for the same seed", async () => {
  const { model, inputIds: [ids] } = await goldenModel("steel-tiny");
  const generate = async (options: Parameters<typeof model.generate>[1]) =>
    (await Array.fromAsync(model.generate(ids, options))).map(({ id }) => id);
  const greedy = await generate({ maxTokens: 6 });
  assertEquals(greedy.length, 6);
  assertEquals(await generate({ maxTokens: 0 }), []);
  assertEquals(await generate({ maxTokens: 6, stopIds: [greedy[3]] }), greedy.slice(0, 3));
  assertEquals(
    (await generate({ maxTokens: 1, suppressIds: [greedy[0]] }))[0] === greedy[0],
    false,
  );
  const hot = { maxTokens: 6, temperature: 2 };
  assertEquals(await generate({ ...hot, seed: 5 }), await generate({ ...hot, seed: 5 }));
  assert(
    String(await generate({ ...hot, seed: 5 })) !== String(await generate({ ...hot, seed: 6 })),
  );
});
