import { createHash, timingSafeEqual } from "node:crypto";
import { checkPrompts } from "../inference/check-inputs.ts";
import type { LanguageModel } from "../inference/language-model.ts";
import type { BatchRoom } from "../inference/running-batch.ts";
import { chatFormat, textFormat } from "./answer-formats.ts";
import { type AnswerPiece, type Answers, startAnswers } from "./answers.ts";
import { ApiError } from "./api-error.ts";
import { chatPage } from "./chat-page.ts";
import { readBody, readChatRequest, readTextRequest } from "./completion-request.ts";
import { Engine } from "./engine.ts";
import { eventStream, streamResponse } from "./event-stream.ts";
import { ServerMetrics } from "./server-metrics.ts";

/** How a model is served. */
export interface ServeOptions {
  /** What the model is called in the API. */
  readonly name: string;
  /** How many texts are written at once, and how long they may be, prompts included. */
  readonly room: BatchRoom;
  /** How many texts may wait for that. */
  readonly queue: number;
  /** Seconds in which a request must be answered. */
  readonly timeout: number;
  /** What requests must show; none where anybody may ask. */
  readonly apiKey?: string;
  /**
   * By which names alone the server may be asked for. A server that is open to this machine only
   * refuses others: a web page could have its own name lead here.
   */
  readonly hosts?: readonly string[];
  /** Called with each request when it has ended. */
  readonly onRequest?: (record: RequestRecord) => void;
  /** Called with what must not happen. */
  readonly onFailure?: (error: unknown) => void;
}

/** What is noted of a request. */
export interface RequestRecord {
  /** When it came, as ISO 8601 has it. */
  readonly time: string;
  readonly method: string;
  readonly path: string;
  /** The HTTP status of the response. */
  readonly status: number;
  /** From its arrival to the end of the response. */
  readonly seconds: number;
  readonly promptTokens?: number;
  readonly addedTokens?: number;
  /** Set where the client did not wait for the end. */
  readonly gone?: true;
  /** Set where it ended with an error. */
  readonly error?: string;
}

/** The most bytes of a request. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Everything comes from this server, and nothing is sent to another. */
const PAGE_POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; " +
  "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A request that is being answered. */
interface Exchange {
  readonly request: Request;
  /** Empty where it cannot be read. */
  readonly path: string;
  /** When it came, as ISO 8601 has it and as `performance.now()` has it. */
  readonly time: string;
  readonly began: number;
  answers?: Answers;
  /** Whether its client did not wait for the end. */
  isGone?: boolean;
}

/** A model behind OpenAI's API, a page to chat with it, and what those need who run it. */
export class ModelServer {
  readonly #metrics = new ServerMetrics();
  readonly #created = Math.floor(Date.now() / 1000);

  private constructor(
    private readonly model: LanguageModel,
    private readonly engine: Engine,
    private readonly options: ServeOptions,
  ) {}

  /** Takes the memory that serving a model needs. @throws UserError if there is too little */
  static async open(model: LanguageModel, options: ServeOptions): Promise<ModelServer> {
    const { room, queue, onFailure = () => {} } = options;
    return new ModelServer(model, await Engine.open(model, room, queue, onFailure), options);
  }

  /** Answers one request, whatever it is. */
  async handle(request: Request): Promise<Response> {
    const exchange: Exchange = {
      ...{ request, path: URL.parse(request.url)?.pathname ?? "" },
      ...{ time: new Date().toISOString(), began: performance.now() },
    };
    try {
      const response = await this.#respond(exchange);
      // A stream ends later, and says so itself.
      if (!isStream(response)) this.#end(exchange, response.status);
      return response;
    } catch (error) {
      const refusal = ApiError.of(error);
      this.#end(exchange, refusal.status, error);
      return refusal.response();
    }
  }

  /** Lets the answers that are being written end; takes nothing more. */
  close(): Promise<void> {
    return this.engine.close();
  }

  #respond(exchange: Exchange): Response | Promise<Response> {
    const { request, path } = exchange;
    this.#checkHost(request);
    if (path === "") {
      throw new ApiError(400, "the Host header or the path is no part of an address");
    }
    const open: Record<string, () => Response> = {
      "/": () => page(chatPage(this.options.name), "text/html"),
      "/chat.js": () => page(chatPage.script, "text/javascript"),
      "/health": () => this.#health(),
    };
    const closed: Record<string, () => Response> = {
      "/metrics": () => this.#prometheus(),
      "/v1/models": () => Response.json({ object: "list", data: [this.#card] }),
      [`/v1/models/${encodeURIComponent(this.options.name)}`]: () => Response.json(this.#card),
    };
    const posts: Record<string, () => Promise<Response>> = {
      "/v1/completions": () => this.#answer("text", exchange),
      "/v1/chat/completions": () => this.#answer("chat", exchange),
    };
    const isPost = Object.hasOwn(posts, path);
    if (!isPost && !Object.hasOwn(open, path) && !Object.hasOwn(closed, path)) {
      if (path.startsWith("/v1/models/")) throw this.#noSuchModel(path.slice(11));
      throw new ApiError(404, `there is no ${path} here`);
    }
    const allow = isPost ? "POST" : "GET";
    if (request.method !== allow && !(allow === "GET" && request.method === "HEAD")) {
      throw new ApiError(405, `${path} takes ${allow} alone`, { headers: { allow } });
    }
    if (Object.hasOwn(open, path)) return open[path]();
    this.#checkKey(request);
    return isPost ? posts[path]() : closed[path]();
  }

  #checkHost(request: Request): void {
    const { hosts } = this.options;
    const host = request.headers.get("host")?.replace(/:\d+$/, "").toLowerCase() ?? "";
    if (!hosts || hosts.includes(host)) return;
    throw new ApiError(403, `this server is not ${host}: ask it as ${hosts.join(" or ")}`);
  }

  #checkKey(request: Request): void {
    const { apiKey } = this.options;
    if (apiKey === undefined) return;
    const [scheme, shown = ""] = (request.headers.get("authorization") ?? "").split(" ");
    // Of one length, and compared in a time that tells nothing.
    const isRight = timingSafeEqual(digest(shown), digest(apiKey));
    if (scheme.toLowerCase() === "bearer" && isRight) return;
    throw new ApiError(
      401,
      "expected the header Authorization: Bearer KEY with this server's key",
      {
        code: "invalid_api_key",
        headers: { "www-authenticate": "Bearer" },
      },
    );
  }

  #health(): Response {
    const { hasFailed } = this.engine;
    return Response.json({ status: hasFailed ? "failed" : "ok" }, {
      status: hasFailed ? 503 : 200,
    });
  }

  #prometheus(): Response {
    const { running, waiting } = this.engine;
    const text = this.#metrics.text({ running, waiting, seats: this.options.room.texts });
    return new Response(text, { headers: { "content-type": "text/plain; version=0.0.4" } });
  }

  get #card() {
    return { id: this.options.name, object: "model", created: this.#created, owned_by: "local" };
  }

  #noSuchModel(name: string): ApiError {
    const message = `there is no model ${JSON.stringify(name)} here, but "${this.options.name}"`;
    return new ApiError(404, message, { param: "model", code: "model_not_found" });
  }

  async #answer(kind: "text" | "chat", exchange: Exchange): Promise<Response> {
    const { request } = exchange;
    const { name, room, queue } = this.options;
    const { tokenizer, config } = this.model;
    const format = kind === "text" ? textFormat : chatFormat;
    const body = await inTime(readBody(request, MAX_BODY_BYTES), this.#left(exchange));
    const asked = kind === "text" ? readTextRequest(body) : readChatRequest(body);
    if (asked.model !== undefined && asked.model !== name) throw this.#noSuchModel(asked.model);
    const prompts = "prompts" in asked
      ? asked.prompts.map((text) => typeof text === "string" ? tokenizer.encodePrompt(text) : text)
      : [tokenizer.encodeChat(asked.messages)];
    const count = prompts.length * asked.n;
    if (count > room.texts + queue) {
      throw new ApiError(400, `at most ${room.texts + queue} answers can be asked for at once`);
    }
    checkPrompts({ ...config, maxPositions: Infinity }, prompts);
    const answers = startAnswers(this.model, this.engine, prompts, asked, room.capacity);
    exchange.answers = answers;
    const pieces = this.#inTime(exchange, answers);
    const id = `${format.idPrefix}${crypto.randomUUID()}`;
    const head = { id, created: Math.floor(Date.now() / 1000), model: name };
    if (asked.stream) {
      const usage = asked.includeUsage ? () => usageOf(answers) : undefined;
      const streamed = { format, head, tokenizer, count, pieces, usage };
      const events = eventStream(streamed, (reason) => {
        answers.stop(); // the client may have gone before the first piece was asked for
        this.#end(exchange, 200, reason);
      });
      return streamResponse(events);
    }
    const choices = await wholeAnswers(pieces, count);
    return Response.json({
      ...{ ...head, object: format.object.whole },
      choices: choices.map((choice) => format.whole(choice, tokenizer)),
      usage: usageOf(answers),
    });
  }

  /** Milliseconds that are left for an answer. */
  #left({ began }: Exchange): number {
    return Math.max(0, 1000 * this.options.timeout - (performance.now() - began));
  }

  /**
   * The pieces until the client goes; its texts then leave the batch.
   *
   * @throws ApiError when the time is over
   */
  async *#inTime(exchange: Exchange, answers: Answers): AsyncGenerator<AnswerPiece> {
    const { began, request: { signal } } = exchange;
    const stop = () => answers.stop();
    const late = new AbortController();
    late.signal.addEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    const timer = setTimeout(() => late.abort(), this.#left(exchange));
    let isFirst = true;
    try {
      if (signal.aborted) stop();
      for await (const piece of answers.pieces) {
        if (isFirst) this.#metrics.addFirstToken((performance.now() - began) / 1000);
        isFirst = false;
        yield piece;
      }
      if (signal.aborted) exchange.isGone = true;
      if (!late.signal.aborted) return;
      throw new ApiError(504, `the answer took longer than ${this.options.timeout} seconds`);
    } finally {
      stop();
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  /** Counts and notes a request that has ended. @param reason why, if not because it is answered */
  #end(exchange: Exchange, status: number, reason?: unknown): void {
    const { time, began, request: { method }, path, answers } = exchange;
    const isGone = exchange.isGone || reason === "gone";
    const error = reason === undefined || isGone ? undefined : ApiError.of(reason);
    const seconds = (performance.now() - began) / 1000;
    const counts = answers &&
      { promptTokens: answers.promptTokens, addedTokens: answers.addedTokens() };
    this.#metrics.addResponse(status);
    if (counts) this.#metrics.addAnswer(counts.promptTokens, counts.addedTokens, seconds);
    if (isGone) this.#metrics.addGone();
    if (error?.status === 500) this.options.onFailure?.(reason);
    this.options.onRequest?.({
      ...{ time, method, path, status, seconds: Number(seconds.toFixed(3)), ...counts },
      ...isGone && { gone: true },
      ...error && { error: error.message },
    });
  }
}

function isStream(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
}

function page(text: string, type: string): Response {
  return new Response(text, {
    headers: { "content-type": `${type}; charset=utf-8`, "content-security-policy": PAGE_POLICY },
  });
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** All answers, when all of them have ended. */
async function wholeAnswers(
  pieces: AsyncIterable<AnswerPiece>,
  count: number,
): Promise<AnswerPiece[]> {
  const answers = Array.from(
    { length: count },
    (_, choice): AnswerPiece => ({ choice, text: "", tokens: [] }),
  );
  for await (const { choice, text, tokens, end } of pieces) {
    const before = answers[choice];
    answers[choice] = {
      ...{ choice, text: before.text + text, tokens: [...before.tokens, ...tokens], end },
    };
  }
  return answers;
}

function usageOf({ promptTokens, addedTokens }: Answers) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: addedTokens(),
    total_tokens: promptTokens + addedTokens(),
  };
}

/** What a promise gives. @throws ApiError if it takes longer than so many milliseconds */
async function inTime<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    const error = new ApiError(408, "the request took too long to arrive");
    timer = setTimeout(() => reject(error), milliseconds);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
