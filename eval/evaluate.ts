import { Random } from "../data/random.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { inBatches } from "../model/inference/batches.ts";
import type { Answer } from "./answer-log.ts";
import type { Answerer } from "./answerer.ts";
import { type Benchmark, type Letter, LETTERS, type Question } from "./benchmarks/benchmark.ts";
import { buildPrompt, letterChoices, type QuestionPrompt } from "./prompt.ts";
import type { GeneratedAnswer, PromptFormat } from "./protocols/protocol.ts";

/** The questions of an evaluation, and how they are asked. */
export interface Evaluation {
  /** The benchmark that the questions are from. */
  benchmark: Benchmark;
  /** How they are asked. */
  format: PromptFormat;
  /** The questions, in the order in which they are asked. */
  questions: Question[];
  /** The examples of every subject by its handle, in order; empty for none. */
  shots: Map<string, Question[]>;
  /** The most questions the model sees at once; as many as suit it if undefined. */
  batch?: number;
  /** Seed of what is drawn at random: sampling, and guesses where a source guesses. */
  seed: number;
}

/** A question as it is asked. */
interface Asked {
  question: Question;
  prompt: QuestionPrompt;
}

/**
 * Asks a model questions and yields the answers, a batch at a time. Neither the batch nor the order
 * changes an answer.
 *
 * @throws {UserError} when the model cannot answer in the prompt format
 */
export async function* evaluate(
  evaluation: Evaluation,
  answerer: Answerer,
): AsyncGenerator<Answer[]> {
  const { format, seed } = evaluation;
  let answer: AnswerBatch;
  let opening: readonly number[] = [];
  if (format.answer.kind === "generated") {
    answer = writerOf(format.answer, seed, answerer);
  } else {
    const letters = letterChoices(format.answer, answerer.encoder);
    answer = chooserOf(letters.ids, answerer);
    opening = letters.opening;
  }
  let before: Promise<Answer[]> | undefined;
  for (const batch of batches(evaluation, answerer, opening)) {
    const answers = answer(batch);
    // Until its turn to be awaited, in which it will be thrown
    answers.catch(() => {});
    // While the model is busy, the batch before is written down and the next one put together.
    if (before) yield await before;
    before = answers;
  }
  if (before) yield await before;
}

/** The questions in order, as many at a time as are asked for or suit the model. */
function* batches(
  evaluation: Evaluation,
  answerer: Answerer,
  opening: readonly number[],
): Generator<Asked[]> {
  const { format, questions, batch } = evaluation;
  const { tokensAtOnce, textsAtOnce } = answerer;
  const scoresLetters = format.answer.kind !== "generated";
  const sharesPrefixes = scoresLetters && answerer.sharesPrefixes;
  const limits = {
    sequences: batch ?? (scoresLetters ? Infinity : textsAtOnce),
    tokens: batch === undefined ? tokensAtOnce : Infinity,
    sharesPrefixes,
  };
  // Only questions of one subject have the same shots before them.
  for (const run of sharesPrefixes ? bySubject(questions) : [questions]) {
    const asked = run.values().map((question) => ask(evaluation, question, answerer, opening));
    yield* inBatches(asked, ({ prompt }) => prompt.ids, limits);
  }
}

/** Questions in their order, cut where the subject changes. */
export function bySubject(questions: Question[]): Question[][] {
  const runs: Question[][] = [];
  for (const question of questions) {
    if (runs.at(-1)?.[0].subject === question.subject) runs.at(-1)!.push(question);
    else runs.push([question]);
  }
  return runs;
}

function ask(
  { benchmark, format, shots }: Evaluation,
  question: Question,
  answerer: Answerer,
  opening: readonly number[],
): Asked {
  const subject = benchmark.subjects.find(({ handle }) => handle === question.subject)!;
  const examples = shots.get(question.subject) ?? [];
  const { encoder, contextLength } = answerer;
  const prompt = buildPrompt(
    format,
    subject,
    examples,
    question,
    encoder,
    contextLength,
    opening,
  );
  return { question, prompt };
}

/** How one batch is answered. */
type AnswerBatch = (asked: Asked[]) => Promise<Answer[]>;

/** Answers with the letter of the highest score. */
function chooserOf(letterIds: readonly number[], answerer: Answerer): AnswerBatch {
  return async (asked) => {
    const prompts = asked.map(({ prompt }) => prompt.ids);
    const scores = await answerer.letterScores(prompts, [...letterIds]);
    return asked.map((each, i) => ({ ...outcome(each), ...fromScores(scores[i], each.question) }));
  };
}

/** Answers with the letter that is found in what the model writes. */
function writerOf(
  { decoding, extract }: GeneratedAnswer,
  seed: number,
  answerer: Answerer,
): AnswerBatch {
  return async (asked) => {
    const seeds = asked.map(({ question }) => questionSeed(seed, question));
    const prompts = asked.map(({ prompt }) => prompt.ids);
    const written = await answerer.generate(prompts, decoding, seeds);
    return asked.map((each, i) => {
      const guess = () => LETTERS[new Random(seeds[i]).below(LETTERS.length)];
      const prediction = extract(written[i], each.question, each.prompt.text, guess);
      return { ...outcome(each), ...(prediction && { prediction }), written: written[i] };
    });
  };
}

function outcome({ question, prompt }: Asked): Answer {
  return {
    subject: question.subject,
    id: question.id,
    ...(question.answer && { answer: question.answer }),
    shots: prompt.shots,
    cut: prompt.cut,
    tokens: prompt.ids.length,
  };
}

/** The letter with the highest score, the first of equals, and the softmax of the four. */
function fromScores(
  scores: number[],
  { subject, id }: Question,
): Pick<Answer, "prediction" | "probabilities"> {
  const highest = Math.max(...scores);
  if (!Number.isFinite(highest)) {
    throw new UserError(
      `the model's scores of A, B, C and D for ${subject} ${id} are ${scores.join(", ")}: its ` +
        `weights are broken, or its numbers overflow`,
    );
  }
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    prediction: LETTERS[scores.indexOf(highest)],
    probabilities: Object.fromEntries(
      LETTERS.map((letter, i) => [letter, weights[i] / total]),
    ) as Record<Letter, number>,
  };
}

/**
 * A seed of the question's own (FNV-1a), so that no other question changes what is drawn for it.
 */
function questionSeed(seed: number, { subject, id }: Question): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${seed}/${subject}/${id}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
