/**
 * OpenAI's own client from npm against a server. It is a program of its own, as its package of 20 MB
 * would otherwise be downloaded by everybody who runs the tests. `deno task test:long` runs it:
 *
 *     deno run --no-lock --allow-net=127.0.0.1 --allow-env --allow-read openai-client.ts ADDRESS ANSWERS
 *
 * ANSWERS is JSON: what `generate` writes to prompts and chats, without chance.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";

/** What `generate` writes. */
export interface ExpectedAnswers {
  /** The name of the model. */
  name: string;
  maxTokens: number;
  /** Texts by prompt. */
  texts: Record<string, string>;
  /** Answers by question. */
  chats: Record<string, string>;
}

/** The version that this was written for; it is no import, so that only this program fetches it. */
const PACKAGE = "npm:openai@6.49.0";

const [address, answers] = Deno.args;
const { name: model, maxTokens, texts, chats }: ExpectedAnswers = JSON.parse(answers);
const { default: OpenAI, NotFoundError, BadRequestError } = await import(PACKAGE);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0 });
const greedy = { model, temperature: 0, max_tokens: maxTokens };

const listed = await Array.fromAsync(await client.models.list(), ({ id }: { id: string }) => id);
assertEquals(listed, [model]);
assertEquals((await client.models.retrieve(model)).id, model);

for (const [prompt, text] of Object.entries(texts)) {
  const { choices: [choice], usage } = await client.completions.create({ ...greedy, prompt });
  assertEquals(choice.text, text);
  assertEquals(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  const stream = await client.completions.create({ ...greedy, prompt, stream: true });
  let streamed = "";
  for await (const { choices: [choice] } of stream) streamed += choice.text;
  assertEquals(streamed, text);

  const characters = [...text];
  const stop = characters[characters.length >> 1];
  const stopped = await client.completions.create({ ...greedy, prompt, stop });
  assertEquals(stopped.choices[0].text, text.slice(0, text.indexOf(stop)));
  assertEquals(stopped.choices[0].finish_reason, "stop");
}

for (const [question, answer] of Object.entries(chats)) {
  const messages = [{ role: "user", content: question }];
  const asked = { ...greedy, messages, logprobs: true, top_logprobs: 3 };
  const { choices: [{ message, logprobs, finish_reason }] } = await client.chat.completions
    .create(asked);
  assertEquals([message.role, message.content], ["assistant", answer]);
  assert(["stop", "length"].includes(finish_reason));
  for (const { logprob, top_logprobs } of logprobs?.content ?? []) {
    assertEquals(logprob, top_logprobs[0].logprob); // without chance, the likeliest was taken
  }
  const runner = client.chat.completions.stream({ ...greedy, messages });
  assertEquals(await runner.finalContent() ?? "", answer);
}

const [prompt] = Object.keys(texts);
const drawn = { ...greedy, prompt, temperature: 1, n: 3, seed: 7 };
const draw = async () => {
  const { choices } = await client.completions.create(drawn);
  return choices.map(({ text }: { text: string }) => text);
};
const first = await draw();
assertEquals([first.length, first], [3, await draw()]);

const missing = await assertRejects(
  () => client.completions.create({ ...greedy, model: "none", prompt }),
  NotFoundError,
);
assertEquals((missing as unknown as { code: string }).code, "model_not_found");
const refused = await assertRejects(
  () =>
    client.chat.completions.create({
      ...greedy,
      messages: [{ role: "user", content: "" }],
      frequency_penalty: 1,
    }),
  BadRequestError,
);
assertEquals((refused as unknown as { status: number }).status, 400);

const controller = new AbortController();
const left = await client.completions.create({ ...greedy, prompt, stream: true }, {
  signal: controller.signal,
});
for await (const _ of left) controller.abort();

console.log(
  "list, completion, chat, stream, logprobs, stop, n, seed and errors are as they should be",
);
