import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { AnswerFormat, ResponseHead } from "./answer-formats.ts";
import type { AnswerPiece } from "./answers.ts";
import { ApiError } from "./api-error.ts";

/** What is sent piece by piece. */
export interface StreamedAnswers {
  readonly format: AnswerFormat;
  readonly head: ResponseHead;
  readonly tokenizer: Tokenizer;
  /** How many answers there are. */
  readonly count: number;
  readonly pieces: AsyncIterable<AnswerPiece>;
  /** The number of tokens, asked for at the end; not told when left out. */
  readonly usage?: () => Record<string, number>;
}

/** The response whose body is read by browsers and OpenAI's clients as it comes. */
export function streamResponse(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" },
  });
}

/**
 * Answers as server-sent events, each as soon as its token is known.
 *
 * @param onEnd called once at the end, with the error that ended them; `gone` if nobody reads on
 */
export function eventStream(
  answers: StreamedAnswers,
  onEnd: (reason?: unknown) => void,
): ReadableStream<Uint8Array> {
  const events = eventsOf(answers, onEnd);
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await events.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`data: ${value}\n\n`));
    },
    cancel: async () => void await events.return(undefined),
  });
}

/** The data of the events. */
async function* eventsOf(
  { format, head, tokenizer, count, pieces, usage }: StreamedAnswers,
  onEnd: (reason?: unknown) => void,
): AsyncGenerator<string> {
  const shared = { ...head, object: format.object.part, ...usage && { usage: null } };
  const event = (...choices: unknown[]) => JSON.stringify({ ...shared, choices });
  const offsets: number[] = Array(count).fill(0);
  let reason: unknown = "gone";
  try {
    for (let choice = 0; choice < count && format.opening; choice++) {
      yield event(format.opening(choice));
    }
    for await (const piece of pieces) {
      const offset = offsets[piece.choice];
      offsets[piece.choice] += piece.text.length;
      yield event(format.part(piece, tokenizer, offset));
    }
    if (usage) yield JSON.stringify({ ...shared, choices: [], usage: usage() });
    reason = undefined;
  } catch (error) {
    reason = error;
    yield JSON.stringify(ApiError.of(error).body);
  } finally {
    onEnd(reason);
  }
  yield "[DONE]";
}
