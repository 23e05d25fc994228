import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { AnswerPiece, AnswerToken } from "./answers.ts";
import type { TokenLogProb } from "./scored-token.ts";

/** What is the same in all parts of a response. */
export interface ResponseHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

/** How a kind of request is answered, as OpenAI's reference has it. */
export interface AnswerFormat {
  /** What ids of responses begin with. */
  readonly idPrefix: string;
  /** The names of whole responses and of parts of a stream. */
  readonly object: { readonly whole: string; readonly part: string };
  /** What a stream says first of each answer, before there is any text. */
  opening?(choice: number): Record<string, unknown>;
  /** A piece of an answer as one of a stream's `choices`; `offset` counts the answer's characters. */
  part(piece: AnswerPiece, tokenizer: Tokenizer, offset: number): Record<string, unknown>;
  /** A whole answer as one of a response's `choices`. */
  whole(piece: AnswerPiece, tokenizer: Tokenizer): Record<string, unknown>;
}

/** `/v1/completions`. */
export const textFormat: AnswerFormat = {
  idPrefix: "cmpl-",
  object: { whole: "text_completion", part: "text_completion" },
  part: ({ choice: index, text, tokens, end = null }, tokenizer, offset) => ({
    ...{ index, text, finish_reason: end, logprobs: textLogProbs(tokens, tokenizer, offset) },
  }),
  whole: (piece, tokenizer) => textFormat.part(piece, tokenizer, 0),
};

/** `/v1/chat/completions`. */
export const chatFormat: AnswerFormat = {
  idPrefix: "chatcmpl-",
  object: { whole: "chat.completion", part: "chat.completion.chunk" },
  opening: (index) => ({
    ...{ index, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null },
  }),
  part: ({ choice: index, text, tokens, end = null }, tokenizer) => ({
    ...{ index, delta: text === "" ? {} : { content: text }, finish_reason: end },
    logprobs: chatLogProbs(tokens, tokenizer),
  }),
  whole: ({ choice: index, text, tokens, end = null }, tokenizer) => ({
    ...{ index, message: { role: "assistant", content: text, refusal: null }, finish_reason: end },
    logprobs: chatLogProbs(tokens, tokenizer),
  }),
};

function textLogProbs(tokens: readonly AnswerToken[], tokenizer: Tokenizer, offset: number) {
  const scored = tokens.flatMap(({ text, scored }) => scored ? [{ text, ...scored }] : []);
  if (scored.length === 0) return null;
  const text = ({ id }: TokenLogProb) => tokenizer.decode([id]);
  return {
    tokens: scored.map(text),
    token_logprobs: scored.map(({ logProb }) => logProb),
    top_logprobs: scored.map(({ top }) =>
      // Parts of characters have the same text: the likeliest of them stands for all.
      Object.fromEntries(top.toReversed().map((each) => [text(each), each.logProb]))
    ),
    text_offset: scored.map((token) => {
      const start = offset;
      offset += token.text.length;
      return start;
    }),
  };
}

function chatLogProbs(tokens: readonly AnswerToken[], tokenizer: Tokenizer) {
  const scored = tokens.flatMap(({ scored }) => scored ? [scored] : []);
  if (scored.length === 0) return null;
  const told = ({ id, logProb }: TokenLogProb) => {
    const token = tokenizer.decode([id]);
    // What is no whole character has no text that could be turned back into its bytes.
    const bytes = token.includes("\ufffd") ? null : Array.from(new TextEncoder().encode(token));
    return { token, logprob: logProb, bytes };
  };
  return {
    content: scored.map((each) => ({ ...told(each), top_logprobs: each.top.map(told) })),
    refusal: null,
  };
}
