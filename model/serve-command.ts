/** `deno task serve --model DIR`: a model behind OpenAI's API. */
import { parseArgs } from "@std/cli/parse-args";
import { basename, resolve } from "node:path";
import { fileText } from "../data/files/text-file.ts";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { StopSignals } from "../kernels/host/stop-signals.ts";
import { installMissingDriver } from "../kernels/host/vulkan-driver.ts";
import { formatBytes } from "../kernels/runtime/memory.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { DEVICE_FLAGS, DEVICE_HELP, deviceOptions } from "./command-line/device-flags.ts";
import { numberFlag } from "./command-line/number-flag.ts";
import { print } from "./command-line/print.ts";
import { loadModel } from "./host/load-model.ts";
import { modelInWords, newestRun } from "./host/run-folder.ts";
import type { LanguageModel } from "./inference/language-model.ts";
import { atLeastOne, count, positive } from "./number-range.ts";
import { listen } from "../kernels/host/listen.ts";
import { ModelServer } from "./serving/model-server.ts";

/** A longer context takes memory for every seat, whether it is used or not. */
const MOST_CONTEXT = 4096;

const HELP = `Serves a model: OpenAI's API, a page to chat with it, and metrics.

Usage:
  deno task serve [--model DIR] [options]

Examples:
  deno task serve
  deno task serve --model runs/dpo --port 8000

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one
                           [the newest run in runs/]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --name NAME              what the model is called in the API [the folder's name]
  --host ADDRESS           address to listen on; docs/serving.md says how to open other addresses
                           than this machine's own [127.0.0.1]
  --port N                 port to listen on; 0 takes a free one [8080]
  --api-key-file FILE      file whose first line is the key that requests must show [no key]
  --texts N                texts that are written at once [as many as suit the device, at most 32]
  --context N              tokens of a text, its prompt included
                           [those of the model, at most ${MOST_CONTEXT.toLocaleString("en")}]
  --queue N                texts that may wait; further requests get status 429 [64]
  --timeout SECONDS        time in which a request must be answered [600]
  --help                   show this text

${DEVICE_HELP}

On standard output there is a JSON line for each request that has ended.`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: [
      ...[
        "model",
        "adapter",
        "name",
        "host",
        "port",
        "api-key-file",
        "texts",
        "context",
        "queue",
        "timeout",
      ],
      ...DEVICE_FLAGS,
    ],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  const device = deviceOptions(flags);
  const port = numberFlag("port", flags.port, { ...count, most: 65535 }) ?? 8080;
  const queue = numberFlag("queue", flags.queue, count) ?? 64;
  const timeout = numberFlag("timeout", flags.timeout, { ...positive, most: 1e6 }) ?? 600;
  const texts = numberFlag("texts", flags.texts, { ...atLeastOne, most: 1024 });
  const context = numberFlag("context", flags.context, { whole: true, least: 2 });
  const apiKey = flags["api-key-file"] && await readKey(flags["api-key-file"]);
  await installMissingDriver();
  const dir = flags.model || await newestRun("any");
  const { adapter } = flags;
  const model = await loadModel(dir, { ...device, adapter, onMessage: console.error });
  const capacity = capacityOf(model, context);
  const room = { texts: texts ?? model.textsAtOnce, capacity };
  const name = flags.name || basename(resolve(dir));
  const hostname = flags.host || "127.0.0.1";
  const isOwn = ["127.0.0.1", "localhost", "::1"].includes(hostname);
  const server = await ModelServer.open(model, {
    ...{ name, room, queue, timeout, apiKey },
    hosts: isOwn ? ["127.0.0.1", "localhost", "[::1]"] : undefined,
    onRequest: (record) => print(JSON.stringify(record) + "\n"),
    onFailure: (error) => console.error(error),
  });
  const listening = listen((request) => server.handle(request), { hostname, port });
  const { address } = listening;
  using stop = new StopSignals(
    (text) => console.error(`Finishing the answers that are being written. ${text}`),
    () => {},
  );
  stop.listen();
  const words = await modelInWords(dir);
  console.error(
    `${words} is served as ${JSON.stringify(name)}: up to ${room.texts} texts at once of ` +
      `${capacity.toLocaleString("en")} tokens each, with ${
        formatBytes(cacheBytes(model, room))
      } ` +
      `for their keys and values.\n` +
      (isOwn || apiKey
        ? ""
        : "Anybody who reaches this address may use it: see --api-key-file.\n") +
      `Open ${address} in a browser to chat, or let a client of OpenAI's API use ${address}/v1. ` +
      `Ctrl-C ends it.`,
  );
  await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
  await Promise.all([listening.close(), server.close()]);
  model.close();
  Deno.exitCode = stop.status;
});

/** The first line of a file. */
async function readKey(path: string): Promise<string> {
  const key = (await fileText(path)).split("\n")[0].trim();
  // What a header cannot hold, or would end the key in it, nobody could show.
  if (/^[!-~]+$/.test(key)) return key;
  throw new UserError(
    `${path}:1: expected the key that requests must show, of ASCII characters without spaces`,
  );
}

function capacityOf({ config: { maxPositions } }: LanguageModel, context?: number): number {
  if (context === undefined) return Math.min(maxPositions, MOST_CONTEXT);
  if (context <= maxPositions) return context;
  throw new UserError(
    `--context=${context}: the model takes at most ${maxPositions} tokens (max_position_embeddings)`,
  );
}

/** Bytes of the keys and values of all texts, in f32. */
function cacheBytes(
  { config: { layers } }: LanguageModel,
  { texts, capacity }: { texts: number; capacity: number },
): number {
  const width = layers.reduce(
    (sum, { attention: { keyValueHeads, headDim } }) => sum + 2 * keyValueHeads * headDim,
    0,
  );
  return 4 * texts * capacity * width;
}
