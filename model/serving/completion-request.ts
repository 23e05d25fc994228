import { isRecord } from "../../data/files/is-record.ts";
import { GENERATION_RANGES } from "../inference/check-inputs.ts";
import type { SamplingOptions } from "../inference/sampling.ts";
import { anySeed, atLeastOne, count, type NumberRange } from "../number-range.ts";
import type { ChatMessage } from "../tokenizer/chat-template.ts";
import { ApiError } from "./api-error.ts";
import { RequestFields } from "./request-fields.ts";

/** What both kinds of requests ask for. */
export interface CompletionOptions {
  /** The name of the model; any that there is when left out. */
  readonly model?: string;
  /** The most tokens of an answer; as many as fit when left out. */
  readonly maxTokens?: number;
  readonly sampling: SamplingOptions;
  readonly seed?: number;
  /** Texts before which an answer ends. */
  readonly stop: readonly string[];
  /** How many answers to each prompt. */
  readonly n: number;
  /** How many of the likeliest tokens are told beside each one; undefined where none is asked. */
  readonly logProbs?: number;
  /** Whether the answers are sent piece by piece. */
  readonly stream: boolean;
  /** Whether a stream ends with the number of tokens. */
  readonly includeUsage: boolean;
}

/** A request to continue texts. */
export interface TextRequest extends CompletionOptions {
  /** Texts or token ids. */
  readonly prompts: readonly (string | readonly number[])[];
}

/** A request to answer in a chat. */
export interface ChatRequest extends CompletionOptions {
  readonly messages: readonly ChatMessage[];
}

/** OpenAI's defaults and limits. */
const DEFAULT_MAX_TOKENS = 16;
const MOST_CHOICES = 128;
const MOST_STOPS = 4;
const LOG_PROBS: NumberRange = { whole: true, least: 0, most: 5 };
const TOP_LOG_PROBS: NumberRange = { whole: true, least: 0, most: 20 };

const USE_REPETITION = "only 0 is supported; repetition_penalty makes tokens less likely";
const NO_TOOLS = "not supported: the model calls no tools";

/** Parameters that are refused, and the value of each that asks for nothing. */
const REFUSED: Record<string, { nothing: unknown; reason: string }> = {
  frequency_penalty: { nothing: 0, reason: USE_REPETITION },
  presence_penalty: { nothing: 0, reason: USE_REPETITION },
  logit_bias: { nothing: {}, reason: "not supported" },
  tools: { nothing: [], reason: NO_TOOLS },
  tool_choice: { nothing: "none", reason: NO_TOOLS },
  functions: { nothing: [], reason: NO_TOOLS },
  function_call: { nothing: "none", reason: NO_TOOLS },
  response_format: { nothing: { type: "text" }, reason: "only text is supported" },
  modalities: { nothing: ["text"], reason: "only text is supported" },
  echo: { nothing: false, reason: "not supported: the answer does not repeat the prompt" },
  suffix: { nothing: "", reason: "not supported: the model continues a text and inserts nothing" },
  store: { nothing: false, reason: "not supported: nothing is kept" },
};

/** Parameters that name the sender: they change no answer. */
const IGNORED = ["user", "metadata", "safety_identifier", "prompt_cache_key"];

/** Reads the body of `/v1/completions`. @throws ApiError naming the parameter that is wrong */
export function readTextRequest(body: unknown): TextRequest {
  const fields = new RequestFields(body);
  const prompts = promptsOf(fields);
  const logProbs = fields.number("logprobs", LOG_PROBS);
  const maxTokens = fields.number("max_tokens", atLeastOne) ?? DEFAULT_MAX_TOKENS;
  const options = readOptions(fields);
  fields.refuse("best_of", options.n, "only the value of n is supported");
  fields.end();
  return { ...options, prompts, logProbs, maxTokens };
}

/** Reads the body of `/v1/chat/completions`. @throws ApiError naming the parameter that is wrong */
export function readChatRequest(body: unknown): ChatRequest {
  const fields = new RequestFields(body);
  const messages = messagesOf(fields);
  const maxTokens = fields.number("max_completion_tokens", atLeastOne);
  const olderMaxTokens = fields.number("max_tokens", atLeastOne); // the same by its older name
  const asksLogProbs = fields.flag("logprobs") ?? false;
  const top = fields.number("top_logprobs", TOP_LOG_PROBS);
  if (top !== undefined && !asksLogProbs) {
    throw fields.wrong("top_logprobs", "needs logprobs to be true");
  }
  const options = readOptions(fields);
  fields.end();
  return {
    ...{ ...options, messages, maxTokens: maxTokens ?? olderMaxTokens },
    logProbs: asksLogProbs ? top ?? 0 : undefined,
  };
}

function readOptions(fields: RequestFields): Omit<CompletionOptions, "logProbs" | "maxTokens"> {
  const stream = fields.flag("stream") ?? false;
  const includeUsage = includesUsage(fields, stream);
  for (const [name, { nothing, reason }] of Object.entries(REFUSED)) {
    fields.refuse(name, nothing, reason);
  }
  fields.ignore(...IGNORED);
  return {
    model: fields.text("model"),
    sampling: {
      temperature: fields.number("temperature", GENERATION_RANGES.temperature) ?? 1,
      topP: fields.number("top_p", GENERATION_RANGES.topP) ?? 1,
      topK: fields.number("top_k", count) ?? 0,
      repetitionPenalty: fields.number("repetition_penalty", GENERATION_RANGES.repetitionPenalty),
    },
    seed: fields.number("seed", anySeed),
    stop: stopsOf(fields),
    n: fields.number("n", { ...atLeastOne, most: MOST_CHOICES }) ?? 1,
    ...{ stream, includeUsage },
  };
}

function includesUsage(fields: RequestFields, stream: boolean): boolean {
  const value = fields.take("stream_options");
  if (value === undefined) return false;
  if (!stream) throw fields.wrong("stream_options", "needs stream to be true");
  const options = new RequestFields(value, "stream_options");
  const includeUsage = options.flag("include_usage") ?? false;
  options.refuse("include_obfuscation", false, "only false is supported");
  options.end();
  return includeUsage;
}

function stopsOf(fields: RequestFields): string[] {
  const value = fields.take("stop") ?? [];
  const stops = Array.isArray(value) ? value : [value];
  if (stops.length <= MOST_STOPS && stops.every((stop) => typeof stop === "string" && stop)) {
    return stops;
  }
  throw fields.wrong("stop", `expected at most ${MOST_STOPS} texts that are not empty`);
}

/** A text, token ids, or several of these. */
function promptsOf(fields: RequestFields): (string | number[])[] {
  const value = fields.take("prompt");
  if (typeof value === "string") return [value];
  const isIds = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length > 0 && value.every(Number.isSafeInteger);
  if (isIds(value)) return [value];
  const isPrompt = (value: unknown) => typeof value === "string" || isIds(value);
  if (Array.isArray(value) && value.length > 0 && value.every(isPrompt)) return value;
  throw fields.wrong("prompt", "expected a text, a list of token ids, or a list of these");
}

function messagesOf(fields: RequestFields): ChatMessage[] {
  const value = fields.take("messages");
  if (!Array.isArray(value) || value.length === 0) {
    throw fields.wrong("messages", "expected a list of messages");
  }
  return value.map((message, index) => {
    const parts = new RequestFields(message, `messages[${index}]`);
    parts.ignore("name");
    const role = roleOf(parts);
    const content = contentOf(parts);
    parts.refuse("tool_calls", [], NO_TOOLS);
    parts.end();
    return { role, content };
  });
}

function roleOf(message: RequestFields): ChatMessage["role"] {
  const role = message.take("role");
  if (role === "developer") return "system"; // OpenAI's newer word
  if (role === "system" || role === "user" || role === "assistant") return role;
  throw message.wrong("role", "expected system, user or assistant");
}

/** A text, or a list of parts that are texts. */
function contentOf(message: RequestFields): string {
  const content = message.take("content");
  if (typeof content === "string") return content;
  const isText = (part: unknown) =>
    isRecord(part) && part.type === "text" && typeof part.text === "string";
  if (Array.isArray(content) && content.every(isText)) {
    return content.map(({ text }) => text).join("");
  }
  throw message.wrong("content", "expected a text, or a list of parts of the type text");
}

/** The body of a request as JSON. @throws ApiError if it is too long, too slow, or no JSON */
export async function readBody(request: Request, most: number): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";")[0].trim().toLowerCase();
  // A page of another site may send other types without being asked by its browser's rules.
  if (type !== "application/json") {
    throw new ApiError(415, "expected the header Content-Type: application/json");
  }
  const tooLong = new ApiError(413, `the body is too long: at most ${most} bytes are taken`);
  if (Number(request.headers.get("content-length")) > most) throw tooLong;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let length = 0;
  try {
    for await (const bytes of request.body ?? []) {
      length += bytes.length;
      if (length > most) throw tooLong;
      text += decoder.decode(bytes, { stream: true });
    }
    return JSON.parse(text + decoder.decode());
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, "the body is not JSON in UTF-8");
  }
}
