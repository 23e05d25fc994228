/** Weights that are no numbers, and numbers that overflow: refused alike, whatever is asked. */
import { assertRejects, assertStringIncludes } from "@std/assert";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { writePruned } from "./pruned-model.ts";

/** Writes a model, the values of whose last norm are this one from the fourth on. */
async function writeWith(dir: string, value: number): Promise<string> {
  await writePruned(`${dir}/good`, false);
  using good = await openCheckpoint(`${dir}/good`);
  const texts = ["tokenizer.json", "tokenizer_config.json"].map(async (name) =>
    [name, (await good.files.text(name))!] as const
  );
  await writeCheckpoint(`${dir}/bad`, {
    config: good.config,
    dtype: "F32",
    tensors: async (name) => {
      const values = await good.readFloat32(name);
      if (name === "model.norm.weight") values.fill(value, 3);
      return values;
    },
    files: Object.fromEntries(await Promise.all(texts)),
  });
  return `${dir}/bad`;
}

Deno.test("weights that are NaN or infinite are refused where they are read, by file and name", async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    await inTemporaryFolder(async (dir) => {
      const bad = await writeWith(dir, value);
      const { message } = await assertRejects(() => loadModel(bad, { gpu: "deno" }), UserError);
      const expected =
        `${bad}/model.safetensors: "model.norm.weight" holds ${value}, its value 4 of`;
      assertStringIncludes(message, expected);
    });
  }
});

Deno.test("numbers that overflow are refused, and never come out as text or scores", () =>
  inTemporaryFolder(async (dir) => {
    const model = await loadModel(await writeWith(dir, 3e38), { gpu: "deno", precision: "f32" });
    try {
      const ids = model.tokenizer.encode("床前明月光");
      const asked: Record<string, () => Promise<unknown>> = {
        logits: () => model.logits([ids]),
        nextLogits: () => model.nextLogits([ids]),
        choiceLogits: () => model.choiceLogits([ids], [1, 2]),
        logProbs: () => model.logProbs([ids], [ids]),
        greedy: () => Array.fromAsync(model.generate(ids, { maxTokens: 2 })),
        "one token": () => Array.fromAsync(model.generate(ids, { maxTokens: 1 })),
        sampled: () => model.generateMany([ids, ids], { maxTokens: 2, temperature: 1, seed: 1 }),
      };
      for (const [what, ask] of Object.entries(asked)) {
        await assertRejects(ask, UserError, "its numbers overflow", what);
      }
    } finally {
      model.close();
    }
  }));
