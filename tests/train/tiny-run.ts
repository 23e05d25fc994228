import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import {
  loadPretrainSettings,
  type PretrainSettings,
} from "../../train/settings/pretrain-settings.ts";

/**
 * Arguments of a pretraining run of a few seconds on made-up text, all of it in the folder `dir`. On a
 * bare Debian or Ubuntu, it installs a driver first, as commands do.
 */
export async function tinyRun(dir: string, ...more: string[]): Promise<string[]> {
  await installMissingDriver();
  const path = `${dir}/text.jsonl`;
  const words = ["steel", "is", "iron", "and", "carbon", "made", "hard", "by", "fire", "water"];
  const text = (line: number) =>
    Array.from({ length: 12 }, (_, i) => words[(line * 7 + i * i) % words.length]).join(" ");
  const lines = Array.from({ length: 60 }, (_, line) => JSON.stringify({ text: text(line) }));
  await Deno.writeTextFile(path, lines.join("\n"));
  return [
    "--model.hidden_size=16",
    "--model.num_hidden_layers=2",
    "--model.num_attention_heads=2",
    "--model.num_key_value_heads=2",
    "--model.intermediate_size=16",
    "--model.n_experts=2",
    "--model.max_position_embeddings=64",
    `--data.source=${path}`,
    "--data.tokens=0",
    "--data.heldOut=0.2",
    "--data.sequence=16",
    "--data.vocabulary=16",
    `--data.cacheDir=${dir}/cache`,
    "--train.steps=8",
    "--train.microBatch=2",
    "--train.accumulation=2",
    "--train.warmupSteps=2",
    "--train.learningRate=2e-3",
    "--train.checkpointEvery=2",
    "--train.validateEvery=4",
    "--train.validationBlocks=2",
    "--train.precision=f32",
    "--sample.tokens=0",
    `--run.dir=${dir}/run`,
    ...more,
  ];
}

/** The same as settings. */
export async function tinySettings(dir: string, ...more: string[]): Promise<PretrainSettings> {
  return await loadPretrainSettings(await tinyRun(dir, ...more));
}
