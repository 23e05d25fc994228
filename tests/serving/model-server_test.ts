/** The server against the model that it serves, on a real port. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { Random } from "../../data/random.ts";
import { listen } from "../../kernels/host/listen.ts";
import { loadModel } from "../../model/host/load-model.ts";
import {
  ModelServer,
  type RequestRecord,
  type ServeOptions,
} from "../../model/serving/model-server.ts";
import { StopTexts } from "../../model/serving/stop-texts.ts";
import { openTestGpu } from "../open-gpu.ts";
import { writePruned } from "../model/pruned-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { eventsOf, knownRequests, manyClients, metric, post, PROMPTS } from "./clients.ts";
import { malformedRequest } from "./malformed.ts";

const model = await inTemporaryFolder(async (dir) => {
  await writePruned(dir, false);
  return await loadModel(dir, { gpu: await openTestGpu() });
});

/** Serves the model while a test runs. */
async function serving(
  test: (address: string, records: RequestRecord[]) => Promise<void>,
  options: Partial<ServeOptions> = {},
) {
  const records: RequestRecord[] = [];
  const failures: unknown[] = [];
  const server = await ModelServer.open(model, {
    ...{ name: "tiny", room: { texts: 4, capacity: 64 }, queue: 16, timeout: 60 },
    ...{ onRequest: (record) => records.push(record), onFailure: (error) => failures.push(error) },
    ...options,
  });
  const { address, close } = listen((request) => server.handle(request), {
    ...{ hostname: "127.0.0.1", port: 0 },
  });
  try {
    await test(address, records);
  } finally {
    await Promise.all([close(), server.close()]);
  }
  assertEquals(failures, []);
}

/** Waits until something is so. */
async function until(isSo: () => boolean | Promise<boolean>) {
  while (!await isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("answers are what generate writes, with OpenAI's fields, whole and as a stream", () =>
  serving(async (address, records) => {
    const [prompt] = PROMPTS;
    const options = { temperature: 0, maxTokens: 8 };
    const [{ ids, text }] = await model.generateMany([prompt], options);
    const body = { model: "tiny", prompt, temperature: 0, max_tokens: 8, logprobs: 2 };
    const whole = await (await post(address, "/v1/completions", body)).json();
    const [choice] = whole.choices;
    assertEquals(whole.object, "text_completion");
    assertEquals(choice.text, text);
    const promptIds = model.tokenizer.encodePrompt(prompt);
    const end = ids.length === 8 ? "length" : "stop";
    assertEquals([choice.index, choice.finish_reason], [0, end]);
    assertEquals(whole.usage, {
      prompt_tokens: promptIds.length,
      completion_tokens: ids.length,
      total_tokens: promptIds.length + ids.length,
    });

    // The first token's log-probability, of the logits of a pass over the prompt.
    const [logits] = await model.nextLogits([promptIds]);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const expected = logits[ids[0]] - Math.log(total);
    assertAlmostEquals(choice.logprobs.token_logprobs[0], expected, 1e-4);
    const tops: Record<string, number>[] = choice.logprobs.top_logprobs;
    assertAlmostEquals(Math.max(...Object.values(tops[0])), expected, 1e-4);

    const events = await eventsOf(
      await post(address, "/v1/completions", {
        ...{ ...body, stream: true, stream_options: { include_usage: true } },
      }),
    );
    assertEquals(events.map(({ choices }) => choices[0]?.text ?? "").join(""), text);
    assertEquals(events.at(-1).usage, whole.usage);
    assertEquals(
      events.flatMap(({ choices }) => choices[0]?.logprobs?.text_offset ?? []),
      choice.logprobs.text_offset,
    );

    const messages = [{ role: "user", content: "床前" }];
    const chat = await (await post(address, "/v1/chat/completions", {
      ...{ messages, temperature: 0, max_tokens: 5, logprobs: true, top_logprobs: 1 },
    })).json();
    const chatIds = model.tokenizer.encodeChat([{ role: "user", content: "床前" }]);
    const [answer] = await model.generateMany([chatIds], { temperature: 0, maxTokens: 5 });
    assertEquals(chat.choices[0].message, {
      ...{ role: "assistant", content: answer.text, refusal: null },
    });
    assertEquals(chat.choices[0].logprobs.content.length, answer.ids.length);
    assertEquals(chat.object, "chat.completion");
    const models = await (await fetch(`${address}/v1/models`)).json();
    assertEquals(models.data.map(({ id }: { id: string }) => id), ["tiny"]);
    assertEquals(records.map(({ status, addedTokens }) => [status, addedTokens]), [
      ...[[200, ids.length], [200, ids.length], [200, answer.ids.length], [200, undefined]],
    ]);
  }));

Deno.test("eight clients, some of which give up: no answer is another than alone, and no seat is lost", () =>
  serving(async (address, records) => {
    const known = await knownRequests(address, PROMPTS, 24);
    const before = records.length;
    const counts = await manyClients(address, known, {
      ...{ clients: 8, dropShare: 0.2, seed: 3, until: ({ sent }) => sent >= 60 },
    });
    assertEquals(counts.wrong, []);
    assertEquals(counts.answered + counts.dropped, counts.sent);
    assert(counts.answered >= 40 && counts.dropped > 0, JSON.stringify(counts));
    await until(async () => await metric(address, "steel_texts_running") === 0);
    assertEquals(await metric(address, "steel_texts_waiting"), 0);
    assert(records.slice(before).some(({ gone }) => gone), "the server saw clients go");
  }));

Deno.test("who goes frees the seats at once", () =>
  serving(async (address, records) => {
    const body = { prompt: "床", max_tokens: 60, temperature: 2, n: 4, seed: 1 };
    const { usage } = await (await post(address, "/v1/completions", body)).json();
    for (const [before, stream] of [true, false].entries()) {
      const controller = new AbortController();
      const asked = post(address, "/v1/completions", { ...body, stream }, controller.signal);
      await until(async () => await metric(address, "steel_texts_running") > 0);
      controller.abort();
      await asked.then((response) => response.body?.cancel()).catch(() => {});
      await until(async () => await metric(address, "steel_texts_running") === 0);
      await until(() => records.filter(({ gone }) => gone).length > before);
      const { addedTokens = 0 } = records.findLast(({ gone }) => gone)!;
      assert(addedTokens < usage.completion_tokens, `${addedTokens} of ${usage.completion_tokens}`);
    }
  }));

Deno.test("malformed requests get a status from 400 to 499 and a word, and the server goes on", () =>
  serving(async (address) => {
    const random = new Random(11);
    for (let i = 0; i < 300; i++) {
      const { path, init, wrong } = malformedRequest(random);
      const response = await fetch(address + path, init);
      const text = await response.text();
      assert(response.status >= 400 && response.status < 500, `${path}: ${wrong}: ${text}`);
      const { error: { message } } = JSON.parse(text);
      assert(message.length > 5 && !/undefined|\[object|NaN/.test(message), message);
    }
    // fetch sends no such header.
    using connection = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(address).port),
    });
    await connection.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: [\r\n\r\n"));
    const start = new Uint8Array(12);
    await connection.read(start);
    assertEquals(new TextDecoder().decode(start), "HTTP/1.1 400");
    assertEquals((await fetch(`${address}/health`).then((health) => health.json())).status, "ok");
  }));

Deno.test("what is too much is refused: a full queue, long prompts, bodies and times", () =>
  serving(async (address) => {
    const ask = async (body: unknown) => {
      const response = await post(address, "/v1/completions", body);
      return { status: response.status, ...await response.json() };
    };
    const asked = await Promise.all(
      Array.from({ length: 6 }, () => ask({ prompt: "床", n: 3, max_tokens: 15, temperature: 2 })),
    );
    const refused = asked.filter(({ status }) => status === 429);
    assertEquals(asked.filter(({ status }) => status === 200).length, 2);
    assertEquals(refused[0].error.code, "queue_full");
    const long = await ask({ prompt: "床", max_tokens: 64 });
    assertEquals([long.status, long.error.code], [400, "context_length_exceeded"]);
    const body = await ask({ prompt: "床".repeat(2_000_000) });
    assertEquals([body.status, body.error.type], [413, "invalid_request_error"]);
  }, { room: { texts: 4, capacity: 64 }, queue: 2 }));

Deno.test("an answer that takes too long ends with an error, whole or as a stream", () =>
  serving(async (address) => {
    const body = { prompt: "床", max_tokens: 60, temperature: 2, n: 4 };
    const whole = await post(address, "/v1/completions", body);
    assertEquals([whole.status, (await whole.json()).error.type], [504, "timeout_error"]);
    const events = await eventsOf(
      await post(address, "/v1/completions", { ...body, stream: true }),
    );
    assertEquals(events.at(-1).error.type, "timeout_error");
  }, { timeout: 0.01 }));

Deno.test("only who shows the key and asks by a known name is answered", () =>
  serving(async (address) => {
    const status = async (headers: Record<string, string>) => {
      const response = await fetch(`${address}/v1/models`, { headers });
      await response.body?.cancel();
      return response.status;
    };
    assertEquals(await status({}), 401);
    assertEquals(await status({ authorization: "Bearer secrex" }), 401);
    assertEquals(await status({ authorization: "Basic secret" }), 401);
    assertEquals(await status({ authorization: "Bearer secret" }), 200);
    const page = await fetch(address);
    assertEquals([page.status, (await page.text()).includes("<h1>tiny</h1>")], [200, true]);
    const server = await ModelServer.open(model, {
      ...{ name: "tiny", room: { texts: 1, capacity: 8 }, queue: 1, timeout: 1 },
      hosts: ["127.0.0.1"],
    });
    const rebound = new Request("http://other.example/v1/models", {
      headers: { host: "other.example" },
    });
    assertEquals((await server.handle(rebound)).status, 403);
    await server.close();
  }, { apiKey: "secret" }));

Deno.test("once the GPU has failed, health says so, and whoever asks is told that it is not their fault", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    const gpu = await openTestGpu();
    const failures: unknown[] = [];
    const server = await ModelServer.open(await loadModel(dir, { gpu }), {
      ...{ name: "tiny", room: { texts: 1, capacity: 16 }, queue: 1, timeout: 60 },
      onFailure: (error) => failures.push(error),
    });
    const statusOf = async (path: string, init?: RequestInit) =>
      (await server.handle(new Request(`http://127.0.0.1${path}`, init))).status;
    const ask = () =>
      statusOf("/v1/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "床", max_tokens: 2 }),
      });
    assertEquals([await statusOf("/health"), await ask()], [200, 200]);
    gpu.fail("The GPU was lost in a test");
    assertEquals(await statusOf("/health"), 503);
    assertEquals([await ask(), await ask(), await statusOf("/health")], [500, 503, 503]);
    assert(failures.length > 0);
    await server.close();
    gpu.close();
  }));

Deno.test("a text ends before the first stop text, whatever the pieces; its tokens end with it", () => {
  const text = "one two  three";
  for (let seed = 0; seed < 50; seed++) {
    const random = new Random(seed);
    const stops = new StopTexts<string>([" thr", "xx", " x"]);
    let [given, tokens] = ["", ""];
    for (let at = 0; at < text.length && !stops.isStopped;) {
      const piece = text.slice(at, at += 1 + random.below(4));
      const { text: more, tokens: those } = stops.push(piece, piece);
      given += more;
      tokens += those.join("");
      assert(text.startsWith(given) && tokens.length >= given.length);
    }
    assertEquals([stops.isStopped, given], [true, "one two "]);
    assert(tokens.startsWith("one two "));
  }
  const open = new StopTexts<number>(["abc"]);
  assertEquals(open.push("xab", 1), { text: "x", tokens: [1] });
  assertEquals(open.push("a", 2), { text: "ab", tokens: [] });
  assertEquals(open.rest(), { text: "a", tokens: [2] });
});
