import { assert, assertEquals, assertRejects } from "@std/assert";
import { Random } from "../../data/random.ts";
import { sizeOf } from "../../kernels/tensor.ts";
import { UserError } from "../../kernels/user-error.ts";
import { openCheckpoint, writeCheckpoint } from "../../model/checkpoint.ts";
import { parseConfig } from "../../model/config.ts";
import { exportModel } from "../../model/export.ts";
import { loadModel } from "../../model/language-model.ts";
import { parameterShapes } from "../../model/parameter-shapes.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { VOCABULARY_FILE } from "../../model/vocabulary.ts";
import { relativeError } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const FULL_SIZE = 151936;
const TEXT = "静夜思\n唐·李白\n床前明月光，疑是地上霜。";
const qwen = await Tokenizer.qwen();

/** Writes a model of a few tokens with random weights, as a training run leaves one. */
async function writePruned(dir: string, tied: boolean) {
  const vocabulary = qwen.prunedVocabulary(qwen.encode(TEXT), FULL_SIZE);
  const tokenizer = qwen.withVocabulary(vocabulary);
  const config = parseConfig({
    ...{ model_type: "steel", vocab_size: vocabulary.size + 13, hidden_size: 8 },
    ...{ intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 2, mlp_div_ratio: 1 },
    ...{ max_position_embeddings: 64, tie_word_embeddings: tied, eos_token_id: tokenizer.imEnd },
  }, "test");
  const shapes = parameterShapes(config);
  await writeCheckpoint(dir, {
    config,
    dtype: "F32",
    tensors: (name) => {
      const stream = shapes.findIndex((shape) => shape.name === name);
      const values = new Float32Array(sizeOf(shapes[stream].shape));
      new Random(3, stream).fillNormal(values, 0.5);
      return values;
    },
    files: { ...tokenizer.files(), [VOCABULARY_FILE]: vocabulary.toJson() },
  });
  return vocabulary;
}

for (const tied of [false, true]) {
  Deno.test(`a pruned model with ${tied ? "tied" : "its own"} head is exported whole`, () =>
    inTemporaryFolder(async (dir) => {
      const vocabulary = await writePruned(`${dir}/pruned`, tied);
      await exportModel(`${dir}/pruned`, `${dir}/whole`);
      const [pruned, whole] = [await loadModel(`${dir}/pruned`), await loadModel(`${dir}/whole`)];

      const fullIds = qwen.encode(TEXT);
      const compactIds = pruned.tokenizer.encode(TEXT);
      assertEquals(whole.tokenizer.encode(TEXT), fullIds);
      assertEquals(vocabulary.toFull(compactIds), fullIds);
      assertEquals(whole.tokenizer.encode("steel-llm"), qwen.encode("steel-llm"));
      assertEquals(whole.config.vocabSize, FULL_SIZE);
      assertEquals(whole.config.eosIds, [qwen.imEnd]);

      const ours = await pruned.nextLogits([compactIds]);
      const theirs = await whole.nextLogits([fullIds]);
      const kept = vocabulary.toFull(Array.from({ length: vocabulary.size }, (_, id) => id));
      const keptLogits = kept.map((id) => theirs[0][id]);
      assert(relativeError(keptLogits, ours[0].subarray(0, vocabulary.size)) < 1e-6);
      const highest = Math.max(...keptLogits);
      assert(theirs[0].every((logit) => logit <= highest), "a pruned token is the likeliest");

      assertEquals(new Set(whole.suppressIds), new Set(vocabulary.prunedIds()));
      const options = { maxTokens: 5, temperature: 1.5, seed: 1, stopIds: [] };
      for await (const { id } of whole.generate(TEXT, options)) assert(vocabulary.has(id));
      pruned.close();
      whole.close();

      await assertRejects(
        () => exportModel(`${dir}/pruned`, `${dir}/whole`),
        UserError,
        "exists already",
      );
    }));
}

Deno.test("where a file is in the way, an export says so", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    await assertRejects(
      () => exportModel(`${dir}/pruned`, `${dir}/pruned/config.json/whole`),
      UserError,
      "config.json: this folder cannot be made: ",
    );
  }));

Deno.test("an export in bf16 says so and holds the rounded weights", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    await exportModel(`${dir}/pruned`, `${dir}/bf16`, "BF16");
    await exportModel(`${dir}/bf16`, `${dir}/again`, "F32");
    using original = await openCheckpoint(`${dir}/pruned`);
    using rounded = await openCheckpoint(`${dir}/again`);
    const name = "model.layers.0.mlp.experts.1.gate_up_proj.weight";
    const [before, after] = [await original.readFloat32(name), await rounded.readFloat32(name)];
    before.forEach((value, i) => assert(Math.abs(after[i] / value - 1) <= 2 ** -8));
    assertEquals((await openCheckpoint(`${dir}/bf16`)).config.source.torch_dtype, "bfloat16");
    const generation = JSON.parse(await Deno.readTextFile(`${dir}/again/generation_config.json`));
    assert(generation.suppress_tokens.length > 150_000);
  }));
