/** `deno task dpo`: trains a model on pairs of answers. */
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next } from "../kernels/host/next-command.ts";
import { runOnGpus, takeGpus } from "../model/command-line/run-on-gpus.ts";
import { terminalReport } from "./run/terminal-report.ts";
import { takeWatch, watchOwnRun } from "../model/runs/watch-flag.ts";
import { optimizePreferences } from "./dpo.ts";
import { dpoHelp, loadDpoSettings } from "./settings/dpo-settings.ts";

const ABOUT =
  `Trains a model to prefer the better of two answers (direct preference optimization, DPO).
A run that was stopped goes on when the same command is given again.

Usage:
  deno task dpo [--SECTION.KEY=VALUE ...] [--config FILE.yaml ...]

Examples:
  deno task dpo
  deno task dpo --model.path=runs/identity --data.dir=DIR --data.sets=dpo_zh_demo
  deno task dpo --loss.kind=simpo --loss.beta=2`;

await runOnGpus(async (commandRanks) => {
  const { args: ours, gpus } = takeGpus(commandArguments());
  const { args, watch } = await takeWatch(ours);
  if (args.includes("--help")) {
    console.log(`${ABOUT}\n\n${await dpoHelp()}`);
    return;
  }
  const settings = await loadDpoSettings(args);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const ranks = await commandRanks.start(gpus);
  using report = terminalReport();
  using _page = watch && ranks.rank === 0
    ? watchOwnRun(settings.run.dir, (text) => report.onMessage?.(text))
    : undefined;
  const model = await optimizePreferences(settings, { ...report, ranks });
  if (!model) {
    report.onMessage?.("To go on from there: the same command");
    Deno.exitCode = report.status;
    return;
  }
  model.close();
  const { dir } = settings.run;
  console.log(`\nThe model is in ${dir}. ${next("chat", "--model", dir)}`);
});
