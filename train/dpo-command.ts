/** `deno task dpo`: trains a model on pairs of answers. */
import { runCommand } from "../kernels/runtime/user-error.ts";
import { optimizePreferences } from "./dpo.ts";
import { dpoHelp, loadDpoSettings } from "./settings/dpo-settings.ts";
import { INTERRUPTED } from "./run/interruption.ts";

await runCommand(async () => {
  if (Deno.args.includes("--help")) {
    console.log(`deno task dpo [--section.key=value ...]\n\n${await dpoHelp()}`);
    return;
  }
  const model = await optimizePreferences(await loadDpoSettings(Deno.args));
  if (!model) Deno.exitCode = INTERRUPTED;
  model?.close();
});
