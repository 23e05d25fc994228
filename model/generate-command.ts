/** `deno task generate --model DIR --prompt TEXT`: streams a continuation to the terminal. */
import { parseArgs } from "@std/cli/parse-args";
import { basename } from "node:path";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next } from "../kernels/host/next-command.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { DEVICE_FLAGS, DEVICE_HELP, deviceOptions } from "./command-line/device-flags.ts";
import { print } from "./command-line/print.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingOptions } from "./command-line/sampling-flags.ts";
import { loadModel } from "./host/load-model.ts";
import { modelInWords, newestRun } from "./host/run-folder.ts";

const HELP = `Continues a text with a trained model and prints it as it is written.

Usage:
  deno task generate [--model DIR] [--prompt TEXT] [options]

Examples:
  deno task generate
  deno task generate --prompt "明月"
  deno task generate --model runs/pretrain --prompt "明月"
  deno task generate --model runs/pretrain --prompt "春日" --temperature=0 --max-tokens=64

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one
                           [the newest run in runs/]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --prompt TEXT            text to continue [none: a document from its beginning]
  --help                   show this text

${SAMPLING_HELP}

${DEVICE_HELP}`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["model", "adapter", "prompt", ...SAMPLING_FLAGS, ...DEVICE_FLAGS],
    boolean: ["help"],
    unknown: (name: string) => {
      if (name === "") return; // the text of --prompt ""
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  if (flags.prompt === "") {
    throw new UserError('--prompt is empty; give the text to continue, as in --prompt "明月"');
  }
  const sampling = samplingOptions(flags);
  const device = deviceOptions(flags);
  await installMissingDriver();
  const dir = flags.model || await newestRun("any");
  if (!flags.model) console.error(`The model: ${await modelInWords(dir)}`);
  const { adapter } = flags;
  const model = await loadModel(dir, { ...device, adapter, onMessage: console.error });
  if (flags.prompt === undefined) {
    console.error('Without --prompt "TEXT", the model writes a document from its beginning.');
  }
  print(flags.prompt ?? "");
  const prompt = flags.prompt ?? [model.tokenizer.documentStart];
  for await (const { text } of model.generate(prompt, sampling)) print(text);
  print("\n");
  model.close();
  const ofAdapter = [...adapter ? ["--adapter", adapter] : [], "--merge"];
  const more = model.parameters.adaptation ? ofAdapter : [];
  console.error(next("export", "--model", dir, ...more, "--output", `${basename(dir)}-model`));
});
