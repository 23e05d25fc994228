import { Random } from "../../data/random.ts";
import type { LanguageModel } from "../inference/language-model.ts";
import type { Prompt } from "../inference/running-batch.ts";
import { ApiError } from "./api-error.ts";
import type { CompletionOptions } from "./completion-request.ts";
import type { Engine } from "./engine.ts";
import type { ScoredToken } from "./scored-token.ts";
import { StopTexts } from "./stop-texts.ts";

/** A token of an answer. */
export interface AnswerToken {
  /** The text that it completes; empty in the middle of a character. */
  readonly text: string;
  /** Its log-probability, where it is asked for. */
  readonly scored?: ScoredToken;
}

/** A piece of an answer. */
export interface AnswerPiece {
  /** Which answer: those to the first prompt come first. */
  readonly choice: number;
  readonly text: string;
  readonly tokens: readonly AnswerToken[];
  /** Why the answer ends with this piece, if it does. */
  readonly end?: "stop" | "length";
}

/** Answers that are being written. */
export interface Answers {
  readonly pieces: AsyncGenerator<AnswerPiece>;
  readonly promptTokens: number;
  /** How many tokens have been added so far. */
  readonly addedTokens: () => number;
  /** Ends all of them. */
  stop(): void;
}

/**
 * Lets the engine write the answers of a request.
 *
 * @param prompts token ids
 * @param capacity how many tokens a text may have, its prompt included
 * @throws ApiError if there is no room for them
 */
export function startAnswers(
  model: LanguageModel,
  engine: Engine,
  prompts: readonly (readonly number[])[],
  request: CompletionOptions,
  capacity: number,
): Answers {
  const { n, logProbs, stop, seed = crypto.getRandomValues(new Uint32Array(1))[0] } = request;
  const stopIds = new Set(model.stopIds);
  const texts = prompts.flatMap((ids) => {
    const shared = {
      ...{ ids, stopIds, sampling: request.sampling },
      maxTokens: roomAfter(ids, request.maxTokens, capacity),
    };
    return Array.from(
      { length: n },
      (_, choice): Prompt => ({ ...shared, random: new Random(seed, choice) }),
    );
  });
  const continuation = engine.submit(texts, logProbs);
  let addedTokens = 0;
  const writers = texts.map(({ ids }) => ({
    decoded: model.tokenizer.createDecodeStream({ skipSpecial: true, after: ids }),
    stops: new StopTexts<AnswerToken>(stop),
  }));
  async function* pieces(): AsyncGenerator<AnswerPiece> {
    for await (const { place: choice, id, scored, end } of continuation.steps) {
      const { decoded, stops } = writers[choice];
      if (stops.isStopped) continue;
      if (id === undefined) {
        yield { choice, ...stops.rest(), end };
        continue;
      }
      addedTokens++;
      const text = decoded.push(id);
      const piece = stops.push(text, { text, scored });
      if (stops.isStopped) {
        continuation.stop(choice);
        yield { choice, ...piece, end: "stop" };
      } else if (end) {
        yield { choice, ...joined(piece, stops.rest()), end };
      } else if (piece.text !== "" || piece.tokens.length > 0) {
        yield { choice, ...piece };
      }
    }
  }
  return {
    pieces: pieces(),
    promptTokens: prompts.reduce((sum, { length }) => sum + length, 0),
    addedTokens: () => addedTokens,
    stop: () => continuation.stop(),
  };
}

function joined(
  first: { text: string; tokens: readonly AnswerToken[] },
  second: { text: string; tokens: readonly AnswerToken[] },
) {
  return { text: first.text + second.text, tokens: [...first.tokens, ...second.tokens] };
}

/** How many tokens may be added to a prompt. @throws ApiError if it is too long for what is asked */
function roomAfter(
  { length }: readonly number[],
  maxTokens: number | undefined,
  capacity: number,
): number {
  const room = capacity - length;
  if (room >= (maxTokens ?? 1)) return maxTokens ?? room;
  const asked = maxTokens === undefined
    ? "leaves no room"
    : `leaves room for ${Math.max(0, room)} tokens, not for max_tokens ${maxTokens}`;
  throw new ApiError(
    400,
    `the prompt has ${length} tokens, which ${asked}: prompt and answer have at most ${capacity} ` +
      `tokens together`,
    { code: "context_length_exceeded" },
  );
}
