/** `deno task sft`: fine-tunes a model on conversations. */
import { runCommand } from "../kernels/user-error.ts";
import { INTERRUPTED } from "./interruption.ts";
import { superviseFineTuning } from "./sft.ts";
import { loadSftSettings, sftHelp } from "./sft-settings.ts";

await runCommand(async () => {
  if (Deno.args.includes("--help")) {
    console.log(`deno task sft [--section.key=value ...]\n\n${await sftHelp()}`);
    return;
  }
  const model = await superviseFineTuning(await loadSftSettings(Deno.args));
  if (!model) Deno.exitCode = INTERRUPTED;
  model?.close();
});
