/** `deno task pretrain`: trains a model, then lets it write. */
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { INTERRUPTED } from "./run/interruption.ts";
import { pretrain } from "./pretrain.ts";
import { loadPretrainSettings, pretrainHelp } from "./settings/pretrain-settings.ts";
import { writeSamples } from "./run/samples.ts";

const ABOUT = `Trains a language model from random weights, then shows texts that the model writes.
A run that was stopped goes on when the same command is given again.

Usage:
  deno task pretrain [--SECTION.KEY=VALUE ...] [--config FILE.yaml ...]

Examples:
  deno task pretrain
  deno task pretrain --data.source=novels.jsonl --data.tokens=0 --run.dir=runs/novels
  deno task pretrain --config train/steel-1b.yaml --train.steps=500`;

await runCommand(async () => {
  if (Deno.args.includes("--help")) {
    console.log(`${ABOUT}\n\n${await pretrainHelp()}`);
    return;
  }
  const settings = await loadPretrainSettings(Deno.args);
  await installMissingDriver();
  const model = await pretrain(settings);
  if (!model) {
    Deno.exitCode = INTERRUPTED;
    return;
  }
  await writeSamples(model, settings.sample, settings.run.dir);
  model.close();
});
