/** `deno task chat --model DIR`: talks with a model on the terminal. */
import { parseArgs } from "@std/cli/parse-args";
import process from "node:process";
import { createInterface } from "node:readline";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { next } from "../kernels/host/next-command.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { Chat } from "./inference/chat.ts";
import { converse, TALK_COMMANDS } from "./command-line/converse.ts";
import { DEVICE_FLAGS, DEVICE_HELP, deviceOptions } from "./command-line/device-flags.ts";
import { print } from "./command-line/print.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingOptions } from "./command-line/sampling-flags.ts";
import { loadModel } from "./host/load-model.ts";
import { modelInWords, newestRun } from "./host/run-folder.ts";

const HELP = `Starts a chat with a fine-tuned model on the terminal.

Usage:
  deno task chat [--model DIR] [options]

Examples:
  deno task chat
  deno task chat --model runs/dpo --temperature=0 --system "You answer in one sentence."

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one
                           [the newest fine-tuned run in runs/]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --system TEXT            system message [You are a helpful assistant.]
  --help                   show this text

${SAMPLING_HELP}

${DEVICE_HELP}

In the chat:
  /reset                   forget the conversation and start a new one
  /save FILE               add the conversation to FILE as a JSON line, which deno task sft can read
  /exit or Ctrl-D          end the chat
  Ctrl-C                   stop the answer that is being written
  a line that ends in \\    goes on in the next line`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["model", "adapter", "system", ...SAMPLING_FLAGS, ...DEVICE_FLAGS],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  const options = { ...samplingOptions(flags), system: flags.system };
  const device = deviceOptions(flags);
  await installMissingDriver();
  const dir = flags.model || await newestRun("fine-tuned");
  const { adapter } = flags;
  const model = await loadModel(dir, { ...device, adapter, onMessage: console.error });
  console.error(`This is ${await modelInWords(dir)}. ${TALK_COMMANDS}`);
  const prompt = process.stdin.isTTY ? "> " : "";
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt });
  await converse(new Chat(model, options), lines, print);
  model.close();
  console.error(next("eval", "demo", "--model", dir, ...adapter ? ["--adapter", adapter] : []));
});
