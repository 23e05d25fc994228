/** Requests that no server may take, drawn at random: each is a sound one with something broken. */
import type { Random } from "../../data/random.ts";

/** What `fetch` takes. */
export interface MalformedRequest {
  path: string;
  init: RequestInit;
  /** What is wrong, for whoever reads that it was taken. */
  wrong: string;
}

type Body = Record<string, unknown>;

const JSON_TYPE = { "content-type": "application/json" };

const SOUND: Record<string, Body> = {
  "/v1/completions": { prompt: "床前", max_tokens: 2, temperature: 0.5, stop: ["。"], n: 1 },
  "/v1/chat/completions": {
    messages: [{ role: "system", content: "春" }, {
      role: "user",
      content: [{ type: "text", text: "月" }],
    }],
    ...{ max_tokens: 2, top_p: 0.5, stream: true, stream_options: { include_usage: true } },
  },
};

/** Values that are wrong for each field. */
const WRONG: Record<string, unknown[]> = {
  prompt: [5, {}, [], [[]], [""], "", [1.5], [-1], [1e9], [["a"]], [null], true],
  messages: [5, {}, [], "hi", [5], [{}], [{ role: "user" }], [{ role: "tool", content: "a" }]],
  max_tokens: [0, -1, 1.5, "2", [], {}, 1e9, true],
  temperature: [-1, "1", [], {}, 1e60, true],
  top_p: [-0.1, 1.1, "1", []],
  top_k: [-1, 0.5, "all"],
  repetition_penalty: [0, -1, "1"],
  seed: [-1, 0.5, 2 ** 32, "1", [1]],
  stop: [5, [5], "", ["a", "b", "c", "d", "e"], {}, [[]]],
  n: [0, -1, 1.5, "1", 100_000, {}],
  stream: [1, "true", [], {}],
  stream_options: [true, 5, { include_usage: 1 }, { other: true }],
  logprobs: [-1, 50, "yes", []],
  model: [5, "gpt-4o", {}, []],
  frequency_penalty: [0.5, -1, "1", {}],
  presence_penalty: [2, "0", true],
  logit_bias: [{ "5": 1 }, 3, ["a"]],
  tools: [[{ type: "function" }], true, "all"],
  response_format: [{ type: "json_object" }, "json"],
};

const OTHER_PATHS = [
  "/v1",
  "/v1/embeddings",
  "/v1/models/none",
  "/v2/completions",
  "/../etc/passwd",
];

/** Draws a request that must get a status from 400 to 499. */
export function malformedRequest(random: Random): MalformedRequest {
  const of = <T>(values: readonly T[]) => values[random.below(values.length)];
  const path = of(Object.keys(SOUND));
  const body = { ...SOUND[path] };
  const post = (body: BodyInit, headers: Record<string, string> = JSON_TYPE): RequestInit => ({
    method: "POST",
    headers,
    body,
  });
  const text = JSON.stringify(body);
  const kinds: (() => MalformedRequest)[] = [
    () => {
      const name = of(
        Object.keys(WRONG).filter((name) =>
          name in body || name !== "prompt" && name !== "messages"
        ),
      );
      const value = of(WRONG[name]);
      const broken = { ...body, [name]: value };
      return {
        path,
        init: post(JSON.stringify(broken)),
        wrong: `${name}: ${JSON.stringify(value)}`,
      };
    },
    () => {
      const end = random.below(text.length);
      return { path, init: post(text.slice(0, end)), wrong: `cut at ${end}` };
    },
    () => {
      const bytes = new TextEncoder().encode(text);
      const at = random.below(bytes.length);
      bytes[at] = 0xff; // never in UTF-8
      return { path, init: post(bytes), wrong: `no UTF-8 at ${at}` };
    },
    () => {
      const name = Array.from({ length: 1 + random.below(8) }, () => of([..."abcxyz_é{"])).join("");
      return { path, init: post(JSON.stringify({ ...body, [`x${name}`]: 1 })), wrong: `x${name}` };
    },
    () => ({ path, init: post(JSON.stringify(of([null, 5, "a", [], true]))), wrong: "no object" }),
    () => ({ path, init: post("[".repeat(1 + random.below(100_000))), wrong: "depth" }),
    () => ({
      path,
      init: post(text, { "content-type": of(["text/plain", "application/x-www-form-urlencoded"]) }),
      wrong: "content type",
    }),
    () => ({ path, init: { method: of(["GET", "PUT", "DELETE", "PATCH"]) }, wrong: "method" }),
    () => ({ path: of(OTHER_PATHS), init: post(text), wrong: "path" }),
    () => {
      const prompt = "月".repeat(500 + random.below(5000));
      const long = path === "/v1/completions"
        ? { ...body, prompt }
        : { ...body, messages: [{ role: "user", content: prompt }] };
      return { path, init: post(JSON.stringify(long)), wrong: "a long prompt" };
    },
  ];
  return of(kinds)();
}
