/** Many clients of one server at once: each answer must be what it is alone. */
import { Random } from "../../data/random.ts";

/** Texts to go on from, which the models of these tests have tokens for. */
export const PROMPTS = [
  "静夜思",
  "床前明月光",
  "疑是地上霜。",
  "李",
  "明月光，疑是",
  "白\n床前",
  "夜",
  "思唐",
];

/** A request, and the texts that answer it. */
export interface KnownRequest {
  path: "/v1/completions" | "/v1/chat/completions";
  body: Record<string, unknown>;
  answers: string[];
}

/** What came of many requests. */
export interface ClientCounts {
  sent: number;
  answered: number;
  /** Given up by the client before the end. */
  dropped: number;
  /** Refused as the queue was full, and sent again. */
  refused: number;
  tokens: number;
  /** What went wrong, in words. */
  wrong: string[];
}

/** Requests of all kinds; their answers are asked for one after another. */
export async function knownRequests(
  address: string,
  prompts: readonly string[],
  maxTokens: number,
): Promise<KnownRequest[]> {
  const samplings = [
    { temperature: 0 },
    { temperature: 0.9, top_p: 0.9, seed: 5 },
    { temperature: 1, seed: 6, n: 2 },
    { temperature: 0.7, top_k: 5, repetition_penalty: 1.2, seed: 7 },
    { temperature: 0, stop: ["，"], logprobs: 2 },
  ];
  const known: KnownRequest[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const shared = {
      ...samplings[i % samplings.length],
      max_tokens: 1 + maxTokens * (i + 1) / prompts.length | 0,
    };
    const isChat = i % 4 === 3;
    if (isChat) shared.max_tokens = Math.min(shared.max_tokens, 5); // its prompt is long
    const request: KnownRequest = isChat
      ? {
        path: "/v1/chat/completions",
        body: {
          ...{ ...shared, messages: [{ role: "user", content: prompt }] },
          ..."logprobs" in shared && { logprobs: true },
        },
        answers: [],
      }
      : { path: "/v1/completions", body: { ...shared, prompt }, answers: [] };
    const response = await post(address, request.path, request.body);
    const { choices, error } = await response.json();
    if (error) throw new Error(error.message);
    request.answers = choices.map(textOf);
    known.push(request);
  }
  return known;
}

/**
 * Lets clients ask until the time is over, or so many requests were sent.
 *
 * @param dropShare how many give up midway
 */
export async function manyClients(
  address: string,
  known: readonly KnownRequest[],
  { clients, until, dropShare, seed }: {
    clients: number;
    until: (counts: ClientCounts) => boolean;
    dropShare: number;
    seed: number;
  },
): Promise<ClientCounts> {
  const counts: ClientCounts = {
    sent: 0,
    answered: 0,
    dropped: 0,
    refused: 0,
    tokens: 0,
    wrong: [],
  };
  const ask = async (random: Random) => {
    const { path, body, answers } = known[random.below(known.length)];
    const stream = random.below(2) === 0;
    const drops = random.uniform() < dropShare;
    const controller = new AbortController();
    // Before the first token, or at any time later.
    const timer = drops ? setTimeout(() => controller.abort(), random.below(400)) : undefined;
    counts.sent++;
    try {
      const asked = stream ? { ...body, stream, stream_options: { include_usage: true } } : body;
      let response = await post(address, path, asked, controller.signal);
      while (response.status === 429) {
        counts.refused++;
        await response.body?.cancel();
        await new Promise((resolve) => setTimeout(resolve, 20 + random.below(200)));
        response = await post(address, path, asked, controller.signal);
      }
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
      const { texts, tokens } = stream
        ? await readStream(response, answers.length)
        : await readWhole(response);
      if (String(texts) !== String(answers)) {
        throw new Error(`${JSON.stringify(body)}: ${JSON.stringify([texts, answers])}`);
      }
      counts.answered++;
      counts.tokens += tokens;
    } catch (error) {
      if (controller.signal.aborted) counts.dropped++;
      else counts.wrong.push(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
    }
  };
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    const random = new Random(seed, client);
    while (!until(counts)) await ask(random);
  }));
  return counts;
}

/** Sends JSON. */
export function post(
  address: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(address + path, {
    ...{ method: "POST", headers: { "content-type": "application/json" }, signal },
    body: JSON.stringify(body),
  });
}

/** The data of a stream's events, but for the last, which must be there. */
export async function eventsOf(response: Response) {
  const events = (await response.text()).split("\n\n").slice(0, -1);
  const data = events.map((event) => event.replace(/^data: /, ""));
  if (data.pop() !== "[DONE]") throw new Error("the stream does not end");
  return data.map((event) => JSON.parse(event));
}

/** A gauge or a counter of the server. */
export async function metric(address: string, name: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

async function readWhole(response: Response) {
  const { choices, usage } = await response.json();
  return { texts: choices.map(textOf), tokens: usage.completion_tokens };
}

async function readStream(response: Response, count: number) {
  const texts: string[] = Array(count).fill("");
  let tokens = 0;
  for (const { choices, usage, error } of await eventsOf(response)) {
    if (error) throw new Error(error.message);
    for (const choice of choices) texts[choice.index] += textOf(choice);
    if (usage) tokens = usage.completion_tokens;
  }
  return { texts, tokens };
}

// deno-lint-ignore no-explicit-any -- as the server sends it
function textOf({ text, message, delta }: any): string {
  return text ?? (message ?? delta).content ?? "";
}
