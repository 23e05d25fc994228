/**
 * `deno task bench:serve`: how fast a Steel-LLM of Table 1's size, with random weights, answers several
 * clients at once, beside `generateMany` with a batch of the same size. A software driver gets a small
 * model.
 */
import { parseArgs } from "@std/cli/parse-args";
import { markdownTable } from "../../data/page/table.ts";
import { Random } from "../../data/random.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { listen } from "../../kernels/host/listen.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { atLeastOne } from "../../model/number-range.ts";
import { ModelServer } from "../../model/serving/model-server.ts";
import { randomModel } from "../eval/random-model.ts";
import { post } from "./clients.ts";

const HELP = `Measures how fast a server answers several clients at once, with random weights.

Usage:
  deno task bench:serve [options]

Example:
  deno task bench:serve --clients=32

Options, with defaults in brackets:
  --clients N              so many clients alone [1, 8, 32 and 128; on a software driver 1 and 8]
  --help                   show this text

${DEVICE_HELP}`;

/** Clients, tokens of their prompts, tokens of the answers, and answers to each client. */
const LOADS = {
  gpu: { clients: [1, 8, 32, 128], prompt: 128, answer: 128, rounds: 3 },
  cpu: { clients: [1, 8], prompt: 24, answer: 12, rounds: 2 },
};

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["clients", "gpu", "precision"],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const only = numberFlag("clients", flags.clients, atLeastOne);
  await installMissingDriver();
  const model = await randomModel(deviceOptions(flags));
  const { clients, ...load } = LOADS[model.gpu.capabilities.cpu ? "cpu" : "gpu"];
  const rows: string[][] = [];
  for (const count of only === undefined ? clients : [only]) {
    console.error(`clients: ${count}`);
    rows.push(await bench(model, count, load));
  }
  console.log(markdownTable({
    title: "",
    columns: [
      ...["clients", "tokens/s", "first token, median", "95 %"],
      "tokens/s of generate's batch of that size",
    ],
    rows,
    notes: [
      `Prompts of ${load.prompt} tokens and answers of up to ${load.answer}, as fast as the same ` +
      `clients ask; generate's batch has their prompts.`,
    ],
  }));
  model.close();
});

/** A row of the table: a number of clients, each of which asks again once it is answered. */
async function bench(
  model: LanguageModel,
  clients: number,
  { prompt, answer, rounds }: { prompt: number; answer: number; rounds: number },
): Promise<string[]> {
  const random = new Random(1);
  const prompts = Array.from(
    { length: clients },
    () => Array.from({ length: prompt }, () => random.below(model.tokenizer.size)),
  );
  const server = await ModelServer.open(model, {
    ...{ name: "bench", queue: 0, timeout: 3600, onFailure: console.error },
    room: { texts: clients, capacity: prompt + answer },
  });
  const where = { hostname: "127.0.0.1", port: 0 };
  const { address, close } = listen((request) => server.handle(request), where);
  const ask = (ids: number[]) => askOnce(address, ids, answer);
  await Promise.all(prompts.map(ask)); // pipelines are compiled
  const began = performance.now();
  const answers = await Promise.all(prompts.map(async (ids) => {
    const own: Answered[] = [];
    for (let round = 0; round < rounds; round++) own.push(await ask(ids));
    return own;
  }));
  const seconds = (performance.now() - began) / 1000;
  await Promise.all([close(), server.close()]);
  const all = answers.flat();
  const waits = all.map(({ first }) => first).sort((a, b) => a - b);
  const tokens = all.reduce((sum, { tokens }) => sum + tokens, 0);

  const alone = await timeOf(() =>
    model.generateMany(prompts, { temperature: 0, maxTokens: answer, batch: clients })
  );
  const rate = (tokens: number, seconds: number) =>
    Math.round(tokens / seconds).toLocaleString("en");
  const wait = (share: number) => `${waits[Math.ceil(share * (waits.length - 1))].toFixed(0)} ms`;
  return [
    ...[String(clients), rate(tokens, seconds), wait(0.5), wait(0.95)],
    rate(alone.tokens, alone.seconds),
  ];
}

/** An answer: its tokens, and milliseconds to the first of them. */
interface Answered {
  tokens: number;
  first: number;
}

async function askOnce(address: string, prompt: number[], maxTokens: number): Promise<Answered> {
  const began = performance.now();
  const response = await post(address, "/v1/completions", {
    ...{ prompt, max_tokens: maxTokens, temperature: 0, stream: true },
    stream_options: { include_usage: true },
  });
  let text = "";
  let first: number | undefined;
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    first ??= performance.now() - began;
    text += piece;
  }
  const [, tokens] = /"completion_tokens":(\d+)/.exec(text) ?? [];
  if (tokens === undefined) throw new Error(`no answer: ${text.slice(0, 300)}`);
  return { tokens: Number(tokens), first: first! };
}

async function timeOf(write: () => Promise<{ ids: readonly number[] }[]>) {
  await write(); // pipelines are compiled
  const began = performance.now();
  const texts = await write();
  const tokens = texts.reduce((sum, { ids }) => sum + ids.length, 0);
  return { tokens, seconds: (performance.now() - began) / 1000 };
}
