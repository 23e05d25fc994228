import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { currentCommit } from "../data/files/commit.ts";
import { parseObject } from "../data/text/json.ts";
import { readIfThere } from "../data/files/text-file.ts";
import { Lock } from "../data/files/lock.ts";
import type { OnProgress } from "../data/progress/progress.ts";
import { requireSame } from "../kernels/ranks/agree.ts";
import { programVersion } from "../model/host/program-version.ts";
import { type Answer, AnswerLog, keyOf, type LogSettings } from "./answer-log.ts";
import type { Answerer } from "./answerer.ts";
import { askTogether, type Together } from "./ask-together.ts";
import type { Question } from "./benchmarks/benchmark.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";
import { type Exam, type ExamSettings, readExam } from "./exam.ts";
import { promptText } from "./prompt.ts";
import { type Results, RESULTS_FILE } from "../model/host/evaluation-results.ts";
import { type Answered, writeResults } from "./results.ts";
import { score } from "./scores.ts";

/** What to ask, how, and where to write the results. */
export interface EvaluationSettings extends ExamSettings {
  /** The folder for answers and results; answers that it holds are not asked again. */
  out: string;
  /** The most questions the model sees at once; as many as suit it if undefined. */
  batch?: number;
  /**
   * Seed of what is drawn at random: sampling, and guesses where a source guesses; 0 if undefined.
   */
  seed?: number;
}

/**
 * Evaluates a model and writes the results: reads the questions, asks those that have no answer
 * yet, scores the answers, writes tables and `results.json`.
 *
 * @param onProgress called before the first question and after every batch
 * @param onMessage called with a line of text if answers of an earlier run are damaged
 * @param together the ranks that answer the questions together, of which this one is rank 0; the
 *   others call {@linkcode helpEvaluation}
 * @throws {UserError} for settings, files or a model that do not fit together, or if another process
 *   writes the results
 */
export async function runEvaluation(
  settings: EvaluationSettings,
  answerer: Answerer,
  onProgress: OnProgress = () => {},
  onMessage: (text: string) => void = () => {},
  together?: Together,
): Promise<Results> {
  const exam = await readExam(settings);
  await using _ = await Lock.ofFolder(settings.out);
  const logged = await logSettings(settings, exam, answerer);
  const hashes = questionHashes(exam);
  using log = await AnswerLog.open(
    join(settings.out, "answers.jsonl"),
    logged,
    hashes,
    onMessage,
  );
  if (together) await agree(settings, answerer, logged, hashes, together, onMessage);
  const asking = await askMissing(settings, exam, answerer, log, onProgress, together) ??
    await askedBefore(settings.out);
  const answers = new Map(log.answers.map((answer) => [keyOf(answer), answer]));
  const answered = exam.questions.map((question) => ({
    question,
    answer: answers.get(keyOf(question))!,
  }));
  const { name: model, precision, encoder } = answerer;
  const results: Results = { ...summary(settings, exam, answered), model, precision, ...asking };
  if (exam.format.system !== undefined && !encoder.takesSystem) {
    results.problems.push("the system message, which the model's chat template does not take");
  }
  await writeResults(settings.out, results, exam.benchmark, answered);
  return results;
}

/**
 * Answers a share of the questions that rank 0 asks by {@linkcode runEvaluation}; for all other
 * ranks. Writes nothing.
 *
 * @throws {UserError} for settings, files or a model that do not fit together, or are not rank 0's
 */
export async function helpEvaluation(
  settings: EvaluationSettings,
  answerer: Answerer,
  together: Together,
): Promise<void> {
  const exam = await readExam(settings);
  const logged = await logSettings(settings, exam, answerer);
  await agree(settings, answerer, logged, questionHashes(exam), together, () => {});
  const [missing] = await together.ranks.allGatherText("");
  const questions = (JSON.parse(missing) as number[]).map((index) => exam.questions[index]);
  await askTogether(evaluationOf(settings, exam, questions), answerer, together, () => {});
}

/** Refuses ranks that would not ask the same questions of the same model. */
async function agree(
  { batch }: EvaluationSettings,
  { tokensAtOnce, textsAtOnce, device }: Answerer,
  logged: LogSettings,
  hashes: ReadonlyMap<string, string>,
  { ranks }: Together,
  say: (text: string) => void,
): Promise<void> {
  const questions = createHash("sha256").update(JSON.stringify([...hashes])).digest("hex");
  const facts = {
    program: await programVersion(),
    ...Object.fromEntries(Object.entries(logged).map(([key, value]) => [key, String(value)])),
    ...{ batch, tokensAtOnce, textsAtOnce, questions: questions.slice(0, 16) },
  };
  await requireSame(ranks, facts, { device }, say);
}

/** What results tell of the last run that asked a question. */
type Asking = Pick<Results, "speed" | "ranks" | "began" | "commit">;

/** Asks the questions that the log has no answer to. Returns undefined if there was none. */
async function askMissing(
  settings: EvaluationSettings,
  exam: Exam,
  answerer: Answerer,
  log: AnswerLog,
  onProgress: OnProgress,
  together: Together | undefined,
): Promise<Asking | undefined> {
  const { benchmark, questions } = exam;
  const known = new Set(log.answers.map(keyOf));
  const start = new Date();
  const indices = questions.keys().filter((i) => !known.has(keyOf(questions[i]))).toArray();
  const missing = indices.map((index) => questions[index]);
  const began = performance.now();
  let [asked, tokens, seconds] = [0, 0, 0];
  const progress = { task: benchmark.key, total: questions.length, unit: "questions" };
  onProgress({ ...progress, done: questions.length - missing.length, status: "" });
  const take = (answers: readonly Answer[]) => {
    log.add(answers);
    asked += answers.length;
    tokens += answers.reduce((sum, answer) => sum + answer.tokens, 0);
    seconds = (performance.now() - began) / 1000;
    const done = questions.length - missing.length + asked;
    const status = `${Math.round(tokens / seconds).toLocaleString("en")} tokens/s`;
    onProgress({ ...progress, done, status });
  };
  const evaluation = evaluationOf(settings, exam, missing);
  if (together) {
    await together.ranks.allGatherText(JSON.stringify(indices));
    await askTogether(evaluation, answerer, together, take);
  } else for await (const answers of evaluate(evaluation, answerer)) take(answers);
  if (asked === 0) return undefined;
  return {
    speed: { questionsPerSecond: asked / seconds, tokensPerSecond: tokens / seconds },
    ...(together && { ranks: together.ranks.size }),
    began: start.toISOString(),
    commit: await currentCommit(),
  };
}

function evaluationOf(
  { batch, seed = 0 }: EvaluationSettings,
  { benchmark, format, examples }: Exam,
  questions: Question[],
): Evaluation {
  return { benchmark, format, questions, shots: examples, batch, seed };
}

/** The same of an earlier run, where this run had no question to ask. */
async function askedBefore(out: string): Promise<Asking> {
  const path = join(out, RESULTS_FILE);
  const text = await readIfThere(path);
  const { speed, ranks, began, commit }: Partial<Results> = text === undefined
    ? {}
    : parseObject(text, path);
  return { speed, ranks, began, commit };
}

function summary(
  { protocol, chainOfThought = false, seed = 0, data, subjects, limit }: EvaluationSettings,
  { benchmark, format, split, shots, examples, problems }: Exam,
  answered: Answered[],
): Omit<Results, "model" | "precision" | keyof Asking> {
  const count = (which: (pair: Answered) => boolean) => answered.filter(which).length;
  const outcomes = answered.map(({ question: { subject, answer }, answer: { prediction } }) => ({
    ...{ subject, answer, prediction },
  }));
  return {
    ...{ benchmark: benchmark.key, title: benchmark.title, split },
    ...{ protocol, source: format.source, shots, chainOfThought, seed },
    ...{ data, subjects, limit },
    questions: answered.length,
    withoutLetter: count(({ answer }) => answer.prediction === undefined),
    fewerShots: count(({ answer, question }) =>
      answer.shots < (examples.get(question.subject)?.length ?? 0)
    ),
    cut: count(({ answer }) => answer.cut > 0),
    average: benchmark.average,
    scores: score(benchmark, outcomes),
    problems,
  };
}

/** What all answers depend on, and the name of the data: a folder of results is of one exam. */
async function logSettings(
  { benchmark, protocol, chainOfThought = false, seed = 0, data }: EvaluationSettings,
  { split, shots }: Exam,
  answerer: Answerer,
): Promise<LogSettings> {
  return {
    ...{ benchmark, protocol, split, shots, chainOfThought, seed },
    ...{ model: answerer.name, data: basename(data) },
    ...(answerer.precision && { precision: answerer.precision }),
    ...(answerer.fingerprint && { weights: await answerer.fingerprint() }),
  };
}

/** A hash of the prompt of every question: of its words, and of the examples before it. */
function questionHashes({ benchmark, format, questions, examples }: Exam): Map<string, string> {
  const subjects = new Map(benchmark.subjects.map((subject) => [subject.handle, subject]));
  return new Map(questions.map((question) => {
    const shots = examples.get(question.subject) ?? [];
    const text = promptText(format, subjects.get(question.subject)!, shots, question);
    return [keyOf(question), createHash("sha256").update(text).digest("hex").slice(0, 16)];
  }));
}
