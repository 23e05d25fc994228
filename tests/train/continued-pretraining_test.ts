/** Training goes on from a checkpoint, of this program or of others, and beyond a run's end. */
import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { pretrain } from "../../train/pretrain.ts";
import { loadPretrainSettings } from "../../train/settings/pretrain-settings.ts";
import { learningRate } from "../../train/step/schedule.ts";
import { contentsOf } from "../folder-contents.ts";
import { gpu } from "../model/golden-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { changeWeights } from "./change-weights.ts";
import { writeTinyLlama } from "./tiny-llama.ts";
import { tinyRun } from "./tiny-run.ts";

/** Arguments of a tiny run that starts from a checkpoint: all but those of the network. */
async function continuing(dir: string, path: string, run: string, ...more: string[]) {
  const args = (await tinyRun(dir)).filter((arg) => !/^--(model\.|data\.vocabulary)/.test(arg));
  const steps = ["--train.steps=2", "--train.warmupSteps=0"];
  return [...args, ...steps, `--model.path=${path}`, `--run.dir=${dir}/${run}`, ...more];
}

Deno.test("pretraining goes on from a peer with its own tokenizer and layout, and beyond its end", () =>
  inTemporaryFolder(async (dir) => {
    await writeTinyLlama(dir);
    const train = async (...args: Parameters<typeof continuing>) =>
      (await pretrain(await loadPretrainSettings(await continuing(...args)), { gpu }))!.close();
    // A learning rate so small that no weight changes: what is written is what was loaded.
    await train(dir, `${dir}/base`, "still", "--train.learningRate=1e-30");
    const last = `${dir}/still/checkpoints/step-0000002`;
    assertEquals(
      await Deno.readFile(`${last}/model.safetensors`),
      await Deno.readFile(`${dir}/base/model.safetensors`),
    );
    const files = ["config.json", "generation_config.json", "tokenizer.json"];
    for (const name of [...files, "tokenizer_config.json"]) {
      const [now, before] = await Promise.all(
        [last, `${dir}/base`].map(async (folder) =>
          JSON.parse(await Deno.readTextFile(`${folder}/${name}`))
        ),
      );
      assertEquals(now, before, name);
    }

    // From a run's folder, the newest checkpoint; and longer, with another learning rate.
    const more = ["--train.steps=2", "--train.learningRate=1e-3"];
    await train(dir, `${dir}/still`, "more", ...more);
    const longer = ["--train.steps=4", "--train.learningRate=5e-4"];
    await train(dir, `${dir}/still`, "more", ...longer);
    const lines = readMetrics(`${dir}/more/metrics.jsonl`);
    assertEquals(lines.map(({ step }) => step), [1, 2, 3, 4]);
    const schedule = { steps: 4, warmupSteps: 0, minimumLearningRate: 0, learningRate: 5e-4 };
    assertEquals(lines[2].learningRate, learningRate(2, schedule));
    const refusals: [string[], string][] = [
      [["--train.steps=3", "--train.learningRate=5e-4"], "train.steps was 4 and is now 3"],
      [[...longer, "--train.clip=2"], "it can go on for more train.steps"],
    ];
    for (const [args, expected] of refusals) {
      await assertRejects(() => train(dir, `${dir}/still`, "more", ...args), UserError, expected);
    }
    await assertRejects(
      () => train(dir, `${dir}/base`, "other", "--model.num_hidden_layers=2"),
      UserError,
      "--model.num_hidden_layers cannot be given beside model.path",
    );
    await assertRejects(
      () => train(dir, `${dir}/base`, "other", "--data.sequence=65"),
      UserError,
      "data.sequence is 65, but the model takes at most 64 tokens",
    );

    // Other weights in the checkpoint that a run was started from.
    const before = await contentsOf(`${dir}/still`);
    await changeWeights(`${dir}/base`);
    await assertRejects(
      () => train(dir, `${dir}/base`, "still", "--train.steps=3", "--train.validateEvery=7"),
      UserError,
      `${dir}/base/model.safetensors: of the weights in model.path this is`,
    );
    assertEquals(await contentsOf(`${dir}/still`), before, "a refused command changes nothing");
  }));
