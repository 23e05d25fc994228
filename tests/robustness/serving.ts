/** Many clients of a server that runs as users run it, malformed requests, and OpenAI's own client. */
import { basename } from "node:path";
import { Random } from "../../data/random.ts";
import { loadModel } from "../../mod.ts";
import {
  type KnownRequest,
  knownRequests,
  manyClients,
  metric,
  PROMPTS,
} from "../serving/clients.ts";
import { malformedRequest } from "../serving/malformed.ts";
import type { ExpectedAnswers } from "../serving/openai-client.ts";
import { writeSmallModel } from "../serving/small-model.ts";
import { broken, type Campaign, type Verdict } from "./campaign.ts";
import { commandOf, ROOT, run, start } from "./commands.ts";

const CLIENTS = 64;
const DROP_SHARE = 0.1;
const MALFORMED = 5000;
/** Of the second quarter's median, what the last quarter's memory may have more. */
const GROWTH = 0.05;
const MAX_TOKENS = 40;

/** @param seconds how long the clients ask */
export function serving(work: string, seed: number, seconds: number): Campaign {
  const attempts: Record<string, (server: Server) => Promise<Verdict>> = {
    [`${CLIENTS} clients for ${seconds} s`]: (server) => underLoad(server, seed, seconds),
    [`${MALFORMED} malformed requests`]: (server) => malformed(server, seed),
    "OpenAI's client": openAi,
  };
  let server: Promise<Server> | undefined;
  return {
    name: "serving",
    atOnce: 1,
    tries: Object.keys(attempts).map((kind) => ({ kind, index: 0 })),
    async attempt({ kind }) {
      return await attempts[kind](await (server ??= startServer(work)));
    },
    async [Symbol.asyncDispose]() {
      await (await server)?.stop();
    },
  };
}

interface Server {
  /** The folder of its model. */
  dir: string;
  address: string;
  known: KnownRequest[];
  stop(): Promise<void>;
}

async function startServer(work: string): Promise<Server> {
  const dir = `${work}/model`;
  await Deno.mkdir(dir, { recursive: true });
  await writeSmallModel(dir);
  const child = start(
    await commandOf("serve", ["--model", dir, "--port=0", "--texts=16", "--queue=32"]),
    work,
  );
  const [forAddress, forAll] = child.stderr.tee();
  const address = await addressIn(forAddress);
  // Unread, its output would stop it.
  const all = Promise.all([new Response(child.stdout).text(), new Response(forAll).text()]);
  return {
    dir,
    address,
    known: await knownRequests(address, [...PROMPTS, ...PROMPTS, ...PROMPTS], MAX_TOKENS),
    async stop() {
      child.kill("SIGTERM");
      await child.status;
      await all;
    },
  };
}

async function addressIn(stderr: ReadableStream<BufferSource>): Promise<string> {
  let text = "";
  for await (const piece of stderr.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const address = /Open (http:\S+)/.exec(text)?.[1];
    if (address) return address;
  }
  throw new Error(`the server did not start: ${text}`);
}

async function underLoad(
  { address, known }: Server,
  seed: number,
  seconds: number,
): Promise<Verdict> {
  const end = performance.now() + 1000 * seconds;
  const memory: number[] = [];
  const watch = setInterval(
    async () => memory.push(await metric(address, "steel_resident_bytes").catch(() => 0)),
    1000,
  );
  const counts = await manyClients(address, known, {
    ...{ clients: CLIENTS, dropShare: DROP_SHARE, seed, until: () => performance.now() > end },
  });
  clearInterval(watch);
  await new Promise((resolve) => setTimeout(resolve, 1000)); // until the last ones are seen to be gone
  const [running, waiting] = await Promise.all(
    ["running", "waiting"].map((what) => metric(address, `steel_texts_${what}`)),
  );
  const [early, late] = [1, 3].map((quarter) => {
    const part = memory.slice(quarter * memory.length / 4, (quarter + 1) * memory.length / 4);
    return part.toSorted((a, b) => a - b)[part.length >> 1];
  });
  const lost = counts.sent - counts.answered - counts.dropped - counts.wrong.length;
  const words =
    `${counts.sent} requests, ${counts.answered} answered, ${counts.dropped} given up, ` +
    `${counts.refused} times told to wait, ${lost} lost, ${counts.tokens} tokens; memory ${
      (early / 1e6).toFixed(0)
    } to ${(late / 1e6).toFixed(0)} MB; then ${running} running, ${waiting} waiting`;
  if (counts.wrong.length > 0) {
    return broken("an answer is the same whoever else asks", `${words}: ${counts.wrong[0]}`);
  }
  if (lost !== 0 || running !== 0 || waiting !== 0) {
    return broken("no request is lost, and no seat", words);
  }
  if (late > early * (1 + GROWTH)) return broken("memory does not grow", words);
  return { outcome: "equal", words };
}

async function malformed({ address }: Server, seed: number): Promise<Verdict> {
  const random = new Random(seed);
  for (let i = 0; i < MALFORMED; i++) {
    const { path, init, wrong } = malformedRequest(random);
    const response = await fetch(address + path, init);
    const text = await response.text();
    if (response.status >= 400 && response.status < 500) continue;
    const words = `${path}, ${wrong}: ${response.status} ${text.slice(0, 200)}`;
    return broken("malformed requests are refused, and the server goes on", words);
  }
  const { status } = await fetch(`${address}/health`);
  if (status === 200) return { outcome: "refused", words: `all ${MALFORMED}, and it goes on` };
  return broken("malformed requests are refused, and the server goes on", `health ${status}`);
}

/** Its package is fetched from npm for this alone. */
async function openAi({ dir, address }: Server): Promise<Verdict> {
  const answers = JSON.stringify(await expectedAnswers(dir));
  const flags = ["--no-lock", "--allow-net=127.0.0.1", "--allow-env", "--allow-read"];
  const program = `${ROOT}tests/serving/openai-client.ts`;
  const { status, stdout, stderr } = await run(
    [Deno.execPath(), "run", `--config=${ROOT}deno.json`, ...flags, program, address, answers],
    ROOT,
  );
  if (status === 0) return { outcome: "equal", words: stdout.trim() };
  return broken("OpenAI's client can talk to the server", stderr.slice(-500));
}

/** What `generate` writes without chance. */
async function expectedAnswers(dir: string): Promise<ExpectedAnswers> {
  const maxTokens = 12;
  const model = await loadModel(dir);
  const written = async (prompts: Record<string, string | number[]>) => {
    const texts = await model.generateMany(Object.values(prompts), { temperature: 0, maxTokens });
    return Object.fromEntries(Object.keys(prompts).map((prompt, i) => [prompt, texts[i].text]));
  };
  const questions = PROMPTS.slice(2, 4).map((content): [string, number[]] => [
    content,
    model.tokenizer.encodeChat([{ role: "user", content }]),
  ]);
  const [first, second] = PROMPTS;
  const texts = await written({ [first]: first, [second]: second });
  const chats = await written(Object.fromEntries(questions));
  model.close();
  return { name: basename(dir), maxTokens, texts, chats };
}
