import { assert, assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { relativeError } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { FULL_SIZE, qwen, TEXT, writePruned } from "./pruned-model.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { exportModel } from "../../model/host/export-model.ts";
import { loadModel } from "../../model/host/load-model.ts";

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
      assertEquals(whole.config.eosIds, [qwen.endOfDocument]);

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
    await exportModel(`${dir}/pruned`, `${dir}/bf16`, { dtype: "BF16" });
    await exportModel(`${dir}/bf16`, `${dir}/again`, { dtype: "F32" });
    using original = await openCheckpoint(`${dir}/pruned`);
    using rounded = await openCheckpoint(`${dir}/again`);
    const name = "model.layers.0.mlp.experts.1.gate_up_proj.weight";
    const [before, after] = [await original.readFloat32(name), await rounded.readFloat32(name)];
    before.forEach((value, i) => assert(Math.abs(after[i] / value - 1) <= 2 ** -8));
    assertEquals((await openCheckpoint(`${dir}/bf16`)).config.source.torch_dtype, "bfloat16");
    const generation = JSON.parse(await Deno.readTextFile(`${dir}/again/generation_config.json`));
    assert(generation.suppress_tokens.length > 150_000);
  }));
