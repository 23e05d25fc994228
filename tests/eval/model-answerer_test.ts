import { assert, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { fingerprint, modelAnswerer } from "../../eval/model-answerer.ts";
import { letterChoices } from "../../eval/prompt.ts";
import type { LetterAnswer } from "../../eval/protocols/protocol.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { linearLayers } from "../../model/network/adaptation.ts";
import { parseConfig } from "../../model/network/config.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { openTestGpu } from "../open-gpu.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";

const gpu = await openTestGpu();
const qwen = await qwenTokenizer();

/** A small network with random weights, large enough to prefer some letters clearly. */
async function randomModel(feedForward: "softmoe_v3" | "raw"): Promise<LanguageModel> {
  const used = qwen.encode("ABCD A B C D\n答案：以下是一道单选题请直接给出正确选项。1234567890");
  const vocabulary = qwen.prunedVocabulary(used, 151936);
  const config = parseConfig({
    ...{ model_type: "steel", vocab_size: vocabulary.size, hidden_size: 32 },
    ...{ intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 2 },
    ...{ num_key_value_heads: 2, max_position_embeddings: 1024, FFN_type: feedForward },
    ...{ mlp_type: "senet", n_experts: 3, slots_per_expert: 1, mlp_div_ratio: 2 },
  }, "test");
  const sizes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const parameters = new Parameters(config);
  let stream = 0;
  await parameters.load(gpu, ({ name }) => {
    const size = sizes.get(name)!.reduce((product, length) => product * length, 1);
    const weights = new Float32Array(size);
    new Random(7, stream++).fillNormal(weights, 0.3);
    return weights;
  });
  return new LanguageModel(gpu, parameters, { tokenizer: qwen.withVocabulary(vocabulary) });
}

Deno.test("a fingerprint tells apart weights, adapters, configurations and tokenizers", async () => {
  const { config, tokenizer } = await randomModel("raw");
  const of = (parameters: Parameters, reader = tokenizer) =>
    fingerprint(new LanguageModel(gpu, parameters, { tokenizer: reader }));
  const loaded = async (rank: number, scale: number, ropeTheta = 10000) => {
    const modules = new Map(
      [...linearLayers(config).keys()].map((name) => [name, { rank, scale }]),
    );
    const json = { ...config.source, rope_theta: ropeTheta };
    const parameters = new Parameters(parseConfig(json, "test"), false, { modules, dropout: 0 });
    await parameters.load(gpu, ({ shape }) => new Float32Array(sizeOf(shape)).fill(1));
    await parameters.loadUpdates(gpu, ({ shape }) => new Float32Array(sizeOf(shape)).fill(2));
    return parameters;
  };
  const model = await loaded(2, 1);
  const seen = [await of(model), await of(await loaded(2, 3)), await of(await loaded(2, 1, 500))];
  assertEquals(await of(await loaded(2, 1)), seen[0]);
  seen.push(await of(model, qwen));
  for (const part of [model.parts[0], model.parts.at(-1)!, model.updateParts.at(-1)!]) {
    upload(gpu, part.tensor, Float32Array.of(9), part.first + sizeOf(part.shape) - 1);
    seen.push(await of(model));
  }
  assertEquals(new Set(seen).size, 7, seen.join());
});

const SHOTS = "以下是单选题\n1 + 1 = 2\nA. 1\nB. 2\nC. 3\nD. 4\n答案：B\n\n";

const PROMPTS = [
  "答案：",
  "以下是一道单选题",
  "1 + 1 = 2\nA. 1\nB. 2\nC. 3\nD. 4\n答案：",
  "AB",
  "请",
];

for (const feedForward of ["softmoe_v3", "raw"] as const) {
  Deno.test(`${feedForward}: a batch answers as each prompt would alone`, async () => {
    const answerer = modelAnswerer(await randomModel(feedForward), "random");
    const prompts = PROMPTS.map((prompt) => answerer.encoder.encode(prompt));
    const answer: LetterAnswer = { kind: "letters", cue: "答案：", before: "" };
    const letters = [...letterChoices(answer, answerer.encoder).ids];
    const scores = await answerer.letterScores(prompts, letters);
    const decoding = { maxNewTokens: 3, temperature: 1, topP: 0.9, repetitionPenalty: 1.1 };
    const seeds = [1, 2, 3, 4, 5];
    const written = await answerer.generate(prompts, decoding, seeds);

    for (const [i, prompt] of prompts.entries()) {
      assertNear(await answerer.letterScores([prompt], letters), [scores[i]]);
      assertEquals(await answerer.generate([prompt], decoding, [seeds[i]]), [written[i]]);
    }
  });

  Deno.test(`${feedForward}: prompts with the same shots score as each would alone`, async () => {
    const model = await randomModel(feedForward);
    assertEquals(model.sharesPrefixes, feedForward === "raw");
    const prompts = PROMPTS.map((prompt) => model.tokenizer.encode(SHOTS + prompt));
    const letters = model.tokenizer.encode("ABCD");
    // Calls that are not waited for, in plans of other sizes, do not disturb one another.
    const [together, apart, ...alone] = await Promise.all([
      model.choiceLogits(prompts, letters),
      model.choiceLogits(prompts, letters, { sharePrefix: false }),
      ...prompts.map((prompt) => model.choiceLogits([prompt], letters)),
    ]);
    const all = await model.nextLogits(prompts);
    assertNear(together, all.map((logits) => letters.map((id) => logits[id])));
    assertNear(apart, together);
    assertNear(alone.flat(), together);
  });
}

Deno.test("each text ends where it would alone: at a mark, or where the context does", async () => {
  const { gpu, parameters, tokenizer } = await randomModel("raw");
  const { maxPositions } = parameters.config;
  const long = tokenizer.encode("AB".repeat(maxPositions)).slice(0, maxPositions - 2);
  const prompts = [...PROMPTS.slice(0, 2).map((prompt) => tokenizer.encode(prompt)), long];
  const greedy = { temperature: 0, topP: 1, repetitionPenalty: 1 };
  const endless = new LanguageModel(gpu, parameters, { tokenizer });
  const written = await Promise.all(prompts.map((prompt) =>
    Array.fromAsync(
      endless.generate(prompt, { ...greedy, maxTokens: 6, stopIds: [] }),
      ({ id }) => id,
    )
  ));
  assertEquals(written.map(({ length }) => length), [6, 6, 2]);

  const mark = written[1][3];
  const generation = { eosIds: [mark], suppressIds: [] };
  const model = new LanguageModel(gpu, parameters, { tokenizer, generation });
  const ended = written.map((ids) => {
    const end = ids.findIndex((id) => model.stopIds.includes(id));
    return ids.slice(0, end < 0 ? ids.length : end);
  });
  assertEquals(
    await modelAnswerer(model, "random")
      .generate(prompts, { ...greedy, maxNewTokens: 6 }, [0, 0, 0]),
    ended.map((ids) => tokenizer.decode(ids, { skipSpecial: true })),
  );
});

function assertNear(actual: number[][], expected: number[][]): void {
  assertEquals(actual.length, expected.length);
  actual.flat().forEach((score, i) => {
    const difference = Math.abs(score - expected.flat()[i]);
    assert(difference <= 1e-5, `score ${i} is off by ${difference}`);
  });
}
