/** `deno task chat --model DIR`: talks with a model on the terminal. */
import { parseArgs } from "@std/cli/parse-args";
import { createInterface } from "node:readline";
import process from "node:process";
import { messageOf } from "../data/error-message.ts";
import { runCommand, UserError } from "../kernels/user-error.ts";
import { Chat } from "./chat.ts";
import { DEVICE_FLAGS, DEVICE_HELP, deviceOptions } from "./device-flags.ts";
import { loadModel } from "./language-model.ts";
import { SAMPLING_FLAGS, SAMPLING_HELP, samplingOptions } from "./sampling-flags.ts";

const HELP = `deno task chat --model DIR [options]

  --model               folder of a checkpoint or of a training run
  --system              what the assistant is told before
${SAMPLING_HELP}
${DEVICE_HELP}

In the chat: a line that ends in \\ goes on in the next; /reset forgets what was said, /save FILE
keeps it as a JSON line that deno task sft reads, /exit or Ctrl-D ends it.`;

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
  let open = true;
  lines.once("close", () => open = false);
  const chat = new Chat(model, options);
  lines.prompt();
  for await (const text of textsOf(lines)) {
    if (text === "/exit") break;
    try {
      if (text !== "") await respond(chat, text);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      console.log(error.message);
    }
    if (open) lines.prompt(); // what was piped in may have ended long before it is answered
  }
  lines.close();
  model.close();
});

/** What is typed, line by line, but that one which ends in \ goes on in the next. */
async function* textsOf(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let begun = "";
  for await (const line of lines) {
    if (line.endsWith("\\")) {
      begun += line.slice(0, -1) + "\n";
    } else {
      yield (begun + line).trim();
      begun = "";
    }
  }
  if (begun !== "") yield begun.trim(); // what was piped in ended with it
}

async function respond(chat: Chat, text: string): Promise<void> {
  const [command, ...rest] = text.split(" ");
  if (command === "/reset") return chat.reset();
  if (command === "/save") return await save(chat, rest.join(" "));
  if (text.startsWith("/")) {
    throw new UserError(`${command} is unknown: there are /reset, /save FILE and /exit`);
  }
  for await (const piece of chat.say(text)) {
    await Deno.stdout.write(new TextEncoder().encode(piece));
  }
  console.log();
}

async function save({ messages }: Chat, path: string): Promise<void> {
  if (path === "") throw new UserError("/save needs a file's name, as in /save chat.jsonl");
  if (messages.every(({ role }) => role === "system")) throw new UserError("nothing was said yet");
  try {
    await Deno.writeTextFile(path, JSON.stringify({ messages }) + "\n", { append: true });
  } catch (error) {
    throw new UserError(`${path} cannot be written: ${messageOf(error)}`);
  }
  console.log(`Saved as a line of ${path}.`);
}
