/** `deno task pretrain`: trains a model, then lets it write. */
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next } from "../kernels/host/next-command.ts";
import { runOnGpus, takeGpus } from "../model/command-line/run-on-gpus.ts";
import { pretrain } from "./pretrain.ts";
import { loadPretrainSettings, pretrainHelp } from "./settings/pretrain-settings.ts";
import { writeSamples } from "./run/samples.ts";
import { terminalReport } from "./run/terminal-report.ts";
import { takeWatch, watchOwnRun } from "../model/runs/watch-flag.ts";

const ABOUT =
  `Trains a language model from random weights or a checkpoint, then shows texts that the model writes.
A run that was stopped goes on when the same command is given again.

Usage:
  deno task pretrain [--SECTION.KEY=VALUE ...] [--config FILE.yaml ...]

Examples:
  deno task pretrain
  deno task pretrain --data.source=novels.jsonl --data.tokens=0 --run.dir=runs/novels
  deno task pretrain --model.path=DIR --data.source=novels.jsonl --run.dir=runs/continued
  deno task pretrain --config train/steel-1b.yaml --train.steps=500 --gpus=8`;

await runOnGpus(async (commandRanks) => {
  const { args: ours, gpus } = takeGpus(commandArguments());
  const { args, watch } = await takeWatch(ours);
  if (args.includes("--help")) {
    console.log(`${ABOUT}\n\n${await pretrainHelp()}`);
    return;
  }
  const settings = await loadPretrainSettings(args);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const ranks = await commandRanks.start(gpus);
  using report = terminalReport();
  using _page = watch && ranks.rank === 0
    ? watchOwnRun(settings.run.dir, (text) => report.onMessage?.(text))
    : undefined;
  const model = await pretrain(settings, { ...report, ranks });
  if (!model) {
    const isAppending = settings.data.append.length > 0;
    report.onMessage?.(
      `To go on from there: the same command${isAppending ? " without --data.append" : ""}`,
    );
    Deno.exitCode = report.status;
    return;
  }
  // The model of the other ranks writes nothing.
  if (ranks.rank > 0) return model.close();
  const samples = await writeSamples(model, settings.sample, settings.run.dir);
  for (const text of samples) console.log(`\n${text}`);
  model.close();
  const { dir } = settings.run;
  console.log(
    `\nThe model is in ${dir}. ` +
      next(
        "sft",
        ...(dir === "runs/pretrain" ? [] : [`--model.path=${dir}`, `--run.dir=${dir}-sft`]),
      ),
  );
});
