/**
 * Evaluates language models: multiple-choice exams (C-Eval, CMMLU, MMLU, or your own in C-Eval's
 * layout) and perplexity. Here an exam of two questions is asked of a model that always says A:
 *
 * ```ts
 * import { alwaysLetter, categoryTable, runEvaluation, textTable } from "@steel/steel-llm/eval";
 *
 * const dir = await Deno.makeTempDir();
 * // By handle: the English name, the name in prompts and the category of each subject.
 * const subjects = { rivers: ["Rivers", "河流", "Geography"] };
 * await Deno.writeTextFile(`${dir}/subject_mapping.json`, JSON.stringify(subjects));
 * await Deno.mkdir(`${dir}/val`);
 * await Deno.writeTextFile(
 *   `${dir}/val/rivers_val.csv`,
 *   "id,question,A,B,C,D,answer\n" +
 *     "0,黄河流入哪个海？,渤海,黄海,东海,南海,A\n" +
 *     "1,长江流经哪座城市？,西安,武汉,济南,兰州,B\n",
 * );
 *
 * const results = await runEvaluation(
 *   { benchmark: "exam", data: dir, protocol: "official", shots: 0, out: `${dir}/results` },
 *   alwaysLetter("A"), // of a model: modelAnswerer(await loadModel(folder), folder)
 * );
 * console.log(textTable(categoryTable(results)));
 * if (results.scores?.overall.micro.accuracy !== 0.5) throw new Error("one answer of two is right");
 * await Deno.remove(dir, { recursive: true });
 * ```
 *
 * Every function takes its settings as an object, reports its progress to a callback and prints
 * nothing. Errors that the user can fix are thrown as {@linkcode UserError}.
 *
 * @module
 */

export { UserError } from "../kernels/runtime/user-error.ts";

// Evaluations: questions are asked, answers are logged and scored, results are written.
export { type EvaluationSettings, helpEvaluation, runEvaluation } from "./run-evaluation.ts";
export type { Together } from "./ask-together.ts";
export type { Communicator } from "../kernels/ranks/communicator.ts";
export { type Exam, type ExamSettings, readExam } from "./exam.ts";
export { evaluate, type Evaluation } from "./evaluate.ts";
export type { Answer } from "./answer-log.ts";
export { type Answered, writeResults } from "./results.ts";
export {
  type Accuracy,
  type GroupScore,
  readResults,
  type Results,
  RESULTS_FILE,
  type Scores,
  type Split,
  type SubjectScore,
} from "../model/host/evaluation-results.ts";

// Who answers: a model, or a letter that is always the same.
export { alwaysLetter, type Answerer, type PromptEncoder } from "./answerer.ts";
export { modelAnswerer } from "./model-answerer.ts";

// Benchmarks: their questions, where to get them, and how they are asked.
export {
  type Benchmark,
  type CategoryMap,
  type Letter,
  LETTERS,
  type Question,
  type QuestionColumn,
  type Subject,
} from "./benchmarks/benchmark.ts";
export { BENCHMARK_NAMES, benchmarkNamed, publishedBenchmark } from "./benchmarks/benchmarks.ts";
export { type BenchmarkFiles, openBenchmarkFiles } from "./benchmarks/benchmark-files.ts";
export { type OnProblem, readQuestions } from "./benchmarks/read-questions.ts";
export { downloadBenchmark, type DownloadOptions } from "./download.ts";
export { writeDemoExam } from "./demo-exam.ts";
export type {
  Decoding,
  GeneratedAnswer,
  LetterAnswer,
  LetterTurn,
  PromptFormat,
  Protocol,
  TooLong,
} from "./protocols/protocol.ts";
export { PROTOCOL_NAMES, protocolNamed } from "./protocols/protocols.ts";
export { buildPrompt, letterChoices, promptText, type QuestionPrompt } from "./prompt.ts";

// Scores and tables.
export { type Outcome, score } from "./scores.ts";
export { accuracyText, categoryTable, headline, subjectTable } from "./result-tables.ts";
export { comparisonTable } from "./compare.ts";
export { markdownTable, type Table, textTable } from "../data/page/table.ts";

// Perplexity of a text.
export {
  type Decodable,
  type Perplexity,
  perplexity,
  type Prediction,
  type Predictor,
  predictorBy,
  readSources,
  readTexts,
} from "./perplexity.ts";
export {
  type PerplexityResults,
  readPerplexity,
  totalBitsPerByte,
  writePerplexity,
} from "./perplexity-results.ts";

// Experiments: arms that differ in one thing, and their page.
export {
  type ArmSettings,
  type Budget,
  type Experiment,
  type Measure,
  type PublishedFigure,
  readExperiment,
  type Scale,
  type Settings,
  type StageName,
} from "./experiments/experiment.ts";
export {
  type ExperimentState,
  readState,
  runExperiment,
  type RunTask,
  type StageLength,
} from "./experiments/run-experiment.ts";
export {
  type ArmMeasurements,
  type Quantity,
  readMeasurements,
} from "./experiments/measurements.ts";
export { experimentPage } from "./experiments/experiment-page.ts";

// Reports on runs, as a page.
export type { Facts } from "../model/host/run-facts.ts";
export { readReportData, type ReportData, type ReportedResults } from "./report/report-data.ts";
export type { Stage, Task } from "../model/runs/stage-folder.ts";
export type { Sample } from "../model/host/samples-file.ts";
export type { StepMetrics } from "../model/host/step-metrics.ts";
export { report } from "./report/report.ts";
export type { ChatTurn, Figure, Page, PageBlock } from "../data/page/page.ts";
export type { PageText, Words } from "../data/page/words.ts";
export type { Chart } from "../data/page/draw.ts";
export { toHtml } from "../data/page/html.ts";
export { type MarkdownPage, toMarkdown } from "../data/page/markdown.ts";

// What these take and give: see `@steel/steel-llm/model`.
export type { OnProgress, Progress } from "../data/progress/progress.ts";
export type * from "../model/mod.ts";
