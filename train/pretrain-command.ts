/** `deno task pretrain`: trains a model, then lets it write. */
import { runCommand } from "../kernels/runtime/user-error.ts";
import { INTERRUPTED } from "./run/interruption.ts";
import { pretrain } from "./pretrain.ts";
import { loadPretrainSettings, pretrainHelp } from "./settings/pretrain-settings.ts";
import { writeSamples } from "./run/samples.ts";

await runCommand(async () => {
  if (Deno.args.includes("--help")) {
    console.log(`deno task pretrain [--section.key=value ...]\n\n${await pretrainHelp()}`);
    return;
  }
  const settings = await loadPretrainSettings(Deno.args);
  const model = await pretrain(settings);
  if (!model) {
    Deno.exitCode = INTERRUPTED;
    return;
  }
  await writeSamples(model, settings.sample, settings.run.dir);
  model.close();
});
