import { Stopped } from "../kernels/host/stop-signals.ts";
import type { Communicator } from "../kernels/ranks/communicator.ts";
import type { Answer } from "./answer-log.ts";
import type { Answerer } from "./answerer.ts";
import type { Question } from "./benchmarks/benchmark.ts";
import { bySubject, evaluate, type Evaluation } from "./evaluate.ts";

/** Milliseconds after which ranks tell each other what they have. */
const NEWS_INTERVAL = 100;

/** Ranks that answer the questions of one evaluation together. */
export interface Together {
  /** By what they tell each other. */
  readonly ranks: Communicator;
  /** Stops all ranks, with a {@linkcode Stopped} as the reason. */
  readonly signal: AbortSignal;
}

/** What a rank tells the others. */
interface News {
  readonly answers: readonly Answer[];
  readonly isDone: boolean;
  readonly stopped?: { readonly cause: string; readonly status: number };
}

/**
 * Asks the questions of an evaluation, of which every rank takes its share. Neither the batch nor the
 * order changes an answer, so that they are those of one rank. No rank waits for another before all
 * are at the end. All ranks call it, with the same evaluation.
 *
 * @param onAnswers called on every rank with the answers of all, in no certain order
 * @throws Stopped on all ranks, if one was told to stop
 */
export async function askTogether(
  evaluation: Evaluation,
  answerer: Answerer,
  { ranks, signal }: Together,
  onAnswers: (answers: readonly Answer[]) => void,
): Promise<void> {
  const found: Answer[] = [];
  const end: { isDone: boolean; error?: unknown } = { isDone: false };
  let isLeft = false;
  const questions = shareOf(evaluation, answerer, ranks);
  const asking = (async () => {
    for await (const answers of evaluate({ ...evaluation, questions }, answerer)) {
      found.push(...answers);
      if (isLeft) return;
    }
    end.isDone = true;
  })().catch((error) => end.error = error ?? new Error("asking failed"));
  try {
    while (true) {
      if (!end.isDone) await Promise.race([asking, sleep(NEWS_INTERVAL)]);
      if (end.error !== undefined) throw end.error;
      const told = await gather(ranks, {
        answers: found.splice(0),
        isDone: end.isDone,
        ...(signal.aborted && { stopped: reasonOf(signal) }),
      });
      tell(told.flatMap(({ answers }) => answers), signal, onAnswers);
      const stopped = told.find((news) => news.stopped)?.stopped;
      if (stopped) throw new Stopped(stopped.cause, stopped.status);
      if (told.every(({ isDone }) => isDone)) return;
    }
  } finally {
    isLeft = true;
  }
}

/**
 * A rank's share of the questions: every so many-th, or whole subjects where the examples before the
 * questions of a subject are read only once.
 */
function shareOf(
  { questions, format }: Evaluation,
  { sharesPrefixes }: Answerer,
  { rank, size }: Communicator,
): Question[] {
  if (format.answer.kind === "generated" || !sharesPrefixes) {
    return questions.filter((_, i) => i % size === rank);
  }
  const shares: Question[][] = Array.from({ length: size }, () => []);
  for (const subject of bySubject(questions)) {
    const least = Math.min(...shares.map(({ length }) => length));
    shares.find(({ length }) => length === least)!.push(...subject);
  }
  return shares[rank];
}

async function gather(ranks: Communicator, news: News): Promise<News[]> {
  return (await ranks.allGatherText(JSON.stringify(news))).map((text) => JSON.parse(text));
}

function tell(
  answers: readonly Answer[],
  signal: AbortSignal,
  onAnswers: (answers: readonly Answer[]) => void,
): void {
  if (answers.length === 0) return;
  try {
    onAnswers(answers);
  } catch (error) {
    // Thrown by a display that heeds the signal: the others are told first.
    if (!(error instanceof Stopped) || !signal.aborted) throw error;
  }
}

function reasonOf({ reason }: AbortSignal): News["stopped"] {
  const { cause, status } = reason as Stopped;
  return { cause, status };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
