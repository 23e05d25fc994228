/** `deno task sft`: fine-tunes a model on conversations. */
import { runCommand } from "../kernels/runtime/user-error.ts";
import { INTERRUPTED } from "./run/interruption.ts";
import { superviseFineTuning } from "./sft.ts";
import { loadSftSettings, sftHelp } from "./settings/sft-settings.ts";

await runCommand(async () => {
  if (Deno.args.includes("--help")) {
    console.log(`deno task sft [--section.key=value ...]\n\n${await sftHelp()}`);
    return;
  }
  const model = await superviseFineTuning(await loadSftSettings(Deno.args));
  if (!model) Deno.exitCode = INTERRUPTED;
  model?.close();
});
