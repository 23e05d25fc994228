/** `deno task sft`: fine-tunes a model on conversations. */
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next, taskCommand } from "../kernels/host/next-command.ts";
import { runOnGpus, takeGpus } from "../model/command-line/run-on-gpus.ts";
import { terminalReport } from "./run/terminal-report.ts";
import { takeWatch, watchOwnRun } from "../model/runs/watch-flag.ts";
import { superviseFineTuning } from "./sft.ts";
import { loadSftSettings, sftHelp } from "./settings/sft-settings.ts";

const ABOUT = `Fine-tunes a model on questions and answers (supervised fine-tuning, SFT).
A run that was stopped goes on when the same command is given again.

Usage:
  deno task sft [--SECTION.KEY=VALUE ...] [--config FILE.yaml ...]

Examples:
  deno task sft
  deno task sft --data.dir=DIR --data.sets=alpaca_zh --data.sets="alpaca_en: 0.2"
  deno task sft --config train/sft-steel-1b.yaml --config train/mixtures/fifth-english.yaml`;

await runOnGpus(async (commandRanks) => {
  const { args: ours, gpus } = takeGpus(commandArguments());
  const { args, watch } = await takeWatch(ours);
  if (args.includes("--help")) {
    console.log(`${ABOUT}\n\n${await sftHelp()}`);
    return;
  }
  const settings = await loadSftSettings(args);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const ranks = await commandRanks.start(gpus);
  using report = terminalReport();
  using _page = watch && ranks.rank === 0
    ? watchOwnRun(settings.run.dir, (text) => report.onMessage?.(text))
    : undefined;
  const model = await superviseFineTuning(settings, { ...report, ranks });
  if (!model) {
    report.onMessage?.("To go on from there: the same command");
    Deno.exitCode = report.status;
    return;
  }
  model.close();
  const { dir } = settings.run;
  if (settings.lora.rank > 0) {
    console.log(
      `\nThe adapter is in ${dir}. ${next("chat", "--model", dir)}` +
        `, or ${taskCommand(["export", "--merge", "--model", dir])}`,
    );
    return;
  }
  console.log(
    `\nThe model is in ${dir}. ` +
      next("dpo", ...(dir === "runs/sft" ? [] : [`--model.path=${dir}`, `--run.dir=${dir}-dpo`])) +
      `, or ${taskCommand(["chat", "--model", dir])}`,
  );
});
