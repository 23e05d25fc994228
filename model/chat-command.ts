/** `deno task chat --model DIR`: talks with a model on the terminal. */
import { parseArgs } from "@std/cli/parse-args";
import process from "node:process";
import { createInterface } from "node:readline";
import { runCommand, UserError } from "../kernels/runtime/user-error.ts";
import { Chat } from "./inference/chat.ts";
import { converse } from "./command-line/converse.ts";
import { DEVICE_FLAGS, DEVICE_HELP, deviceOptions } from "./command-line/device-flags.ts";
import { loadModel } from "./inference/language-model.ts";
import { print } from "./command-line/print.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingOptions } from "./command-line/sampling-flags.ts";

const HELP = `deno task chat --model DIR [options]

  --model               folder of a checkpoint or of a training run
  --system              what the assistant is told before
${SAMPLING_HELP}
${DEVICE_HELP}

In the chat: a line that ends in \\ goes on in the next; /reset forgets what was said, /save FILE
keeps it as a JSON line that deno task sft reads, Ctrl-C stops an answer, /exit or Ctrl-D ends it.`;

await runCommand(async () => {
  const flags = parseArgs(Deno.args, {
    string: ["model", "system", ...SAMPLING_FLAGS, ...DEVICE_FLAGS],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  if (!flags.model) throw new UserError("--model is needed; --help tells more.");
  const options = { ...samplingOptions(flags), system: flags.system };
  const model = await loadModel(flags.model, deviceOptions(flags));
  const prompt = process.stdin.isTTY ? "> " : "";
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt });
  await converse(new Chat(model, options), lines, print);
  model.close();
});
