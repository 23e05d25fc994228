import { UserError } from "../kernels/runtime/user-error.ts";
import type { Trace } from "./cleaning/clean-documents.ts";
import { type CleanedFile, firstTraces } from "./cleaning/clean-file.ts";
import { CleanPhase } from "./cleaning/clean-phase.ts";
import { type CleanReport, warningsOf } from "./cleaning/clean-report.ts";
import { loadModels } from "./cleaning/models.ts";
import { fileIdentity } from "./files/file-identity.ts";
import { Lock } from "./files/lock.ts";
import { makeFolderOf } from "./files/make-folder.ts";
import { refuseOverwriting } from "./files/overwriting.ts";
import { csvFiles } from "./operators/benchmark-questions.ts";
import { benchmarkQuestionsFilter } from "./operators/benchmark-questions-filter.ts";
import { fitRecipe, type PerplexitySettings } from "./perplexity/fit-recipe.ts";
import type { OnProgress } from "./progress/progress.ts";
import { DEFAULT_READING, type ReadingRules } from "./readers/documents.ts";
import { addProblems, firstProblems, noProblems } from "./readers/problems.ts";
import { tokenizerPaths } from "./tokenizer/load-tokenizer-files.ts";
import { prepareSteps, type Recipe, type RecipeStep } from "./recipe.ts";
import { WholeFile } from "./files/whole-file.ts";
import { WORK_FOLDER, WorkFolder } from "./files/work-folder.ts";

/** What to clean, by which recipe, and where to write it. */
export interface CleanSettings {
  /** The operators that documents pass. */
  recipe: Recipe;
  /** Files of any of the paper's corpora, or of any records that have a text. */
  inputs: string[];
  /** The file to write: JSON lines, each a record with the text as `text` and where it is from. */
  output: string;
  /**
   * The file to write the statistics of all documents to, up to the first deduplicator. With it,
   * every step before the deduplicator measures every document, dropped ones too.
   */
  statistics?: string;
  /**
   * The file to write samples of changed and dropped documents to, and their number per operator.
   */
  traces?: { path: string; ofEach: number };
  /** Number of threads, the calling one among them; 1 if undefined. */
  workers?: number;
  /** Whether the first record that cannot be read ends the run, instead of being counted. */
  strict?: boolean;
  /** How records become documents; by default, each by the corpus that its fields show. */
  reading?: Pick<ReadingRules, "corpus" | "asPublished">;
  /** A `tokenizer.json`, or a model's folder, for filters that count tokens. */
  tokenizer?: string;
  /**
   * A SentencePiece `.model` for filters that count its pieces; if undefined, that of perplexity.
   */
  sentencePiece?: string;
  /** How perplexity is measured; if undefined, perplexity filters are left out. */
  perplexity?: PerplexitySettings;
  /** Called as files are read and written. */
  onProgress?: OnProgress;
  /** Called with a line of text for people, such as that a finished part was damaged. */
  onMessage?: (text: string) => void;
}

/**
 * Cleans the documents of files by a recipe and writes those that stay. After a kill, the same call
 * goes on where it was: finished files are not cleaned again. The order of the output does not
 * depend on the number of workers.
 *
 * @throws UserError for a wrong recipe, a file that cannot be read or written, if there is no
 *   document, if an output would overwrite an input or another output, or if another process writes
 *   it; nothing that looks finished is left then
 */
export async function clean(settings: CleanSettings): Promise<CleanReport> {
  const { inputs, output, strict = false, workers = 1 } = settings;
  const { onProgress = () => {}, onMessage = () => {} } = settings;
  const started = performance.now();
  const reading = { ...DEFAULT_READING, ...settings.reading, textKey: settings.recipe.textKey };
  const options = {
    measureAll: settings.statistics !== undefined,
    traced: settings.traces?.ofEach ?? 0,
  };
  const { tokenizer, sentencePiece, perplexity } = settings;
  prepareSteps(settings.recipe.steps, {}, settings.recipe.path);
  const files = [...inputs, ...judgingFilesOf(settings)];
  const identities = await Promise.all(files.map(fileIdentity));
  const workPath = `${output}${WORK_FOLDER}`;
  const written = [output, settings.statistics, settings.traces?.path]
    .filter((path) => path !== undefined);
  await refuseOverwriting(files, [...written, workPath]);
  await using locks = new AsyncDisposableStack();
  for (const path of written) {
    await makeFolderOf(path);
    locks.use(await Lock.beside(path));
  }
  const work = await WorkFolder.open(workPath, {
    edition: CLEANING_EDITION,
    identities,
    steps: settings.recipe.steps,
    reading,
    options,
    strict,
    tokenizer,
    sentencePiece,
    perplexity,
  });
  const others = { tokenizer, sentencePiece };
  const fitted = perplexity &&
    await fitRecipe(settings.recipe, inputs, perplexity, reading, others, work, onMessage);
  const { recipe } = fitted ?? settings;
  const models = { ...others, perplexity: fitted?.model };
  const loaded = await loadModels(models);

  const reports: CleanReport[] = [];
  let traces: Trace[] = [];
  let sources = inputs;
  const phases = phasesOf(recipe.steps);
  for (const [number, steps] of phases.entries()) {
    const isFirst = number === 0;
    const isLast = number === phases.length - 1;
    const target = isLast ? output : work.file(`phase-${number + 1}.jsonl`);
    const setup = {
      steps,
      reading: isFirst ? reading : { ...DEFAULT_READING, carried: true },
      options: { ...options, measureAll: isFirst && options.measureAll, carry: !isLast },
      models,
    };
    const prepared = prepareSteps(steps, loaded);
    const phaseOptions = { strict: strict && isFirst, workers, onProgress, onMessage };
    const phase = new CleanPhase(setup, prepared, work, `${number + 1}`, phaseOptions);
    const files = await phase.cleanFiles(sources);
    if (isFirst) await refuseNothing(files, work);
    reports.push(await phase.writeKept(files, target));
    traces = traces.concat(files.flatMap((file) => file.traces));
    if (isFirst && settings.statistics !== undefined) {
      await concatenate(files.map(({ name }) => work.file(`${name}.stats`)), settings.statistics);
    }
    sources = [target];
  }
  if (settings.traces !== undefined) {
    const first = firstTraces(traces, settings.traces.ofEach);
    const lines = first.map((trace) => JSON.stringify(trace) + "\n");
    await WholeFile.write(settings.traces.path, lines.join(""));
  }
  await work.remove();

  const report: CleanReport = {
    ...reports[0],
    inputs,
    ignoredKeys: recipe.ignored,
    kept: reports.at(-1)!.kept,
    steps: reports.flatMap((report) => report.steps),
    listed: reports.flatMap((report) => report.listed),
    seconds: (performance.now() - started) / 1000,
  };
  const notes = fitted ? [fitted.note] : [];
  const unmeasured = phases.slice(1).flat().filter(({ name }) => name.endsWith("_filter"));
  if (options.measureAll && unmeasured.length > 0) {
    const names = unmeasured.map(({ name }) => name).join(", ");
    notes.push(`the statistics lack those of ${names}, which come after a deduplicator`);
  }
  return { ...report, warnings: [...notes, ...warningsOf(report)] };
}

/** The files on which the judgement of documents depends: those of models and benchmarks. */
export function judgingFilesOf(
  { recipe, tokenizer, sentencePiece, perplexity }: Pick<
    CleanSettings,
    "recipe" | "tokenizer" | "sentencePiece" | "perplexity"
  >,
): string[] {
  const measuring = perplexity === undefined
    ? []
    : "reference" in perplexity
    ? perplexity.reference
    : [perplexity.arpa, perplexity.sentencePiece];
  const benchmarks = recipe.steps.filter(({ name }) => name === benchmarkQuestionsFilter.name)
    .flatMap((step) => [step.arguments.benchmarks as string | string[]].flat());
  const counting = tokenizer === undefined ? [] : tokenizerPaths(tokenizer);
  return [...counting, sentencePiece, ...measuring, ...benchmarks.flatMap(csvFiles)]
    .filter((path) => path !== undefined);
}

/** To be raised when the same input and recipe give another output, or when work files change. */
export const CLEANING_EDITION = 3;

/** Throws UserError if no file has a document: an empty output must not replace an earlier one. */
async function refuseNothing(files: CleanedFile[], work: WorkFolder): Promise<void> {
  if (files.some(({ report }) => report.read.documents > 0)) return;
  const problems = noProblems();
  for (const { report } of files) addProblems(problems, report.problems);
  await work.remove();
  throw new UserError(`there is no document to clean\n${firstProblems(problems)}`.trim());
}

/** Splits the steps after each deduplicator: it decides only after all documents were read. */
function phasesOf(steps: RecipeStep[]): RecipeStep[][] {
  const phases: RecipeStep[][] = [[]];
  for (const step of steps) {
    phases.at(-1)!.push(step);
    if (step.name.endsWith("_deduplicator")) phases.push([]);
  }
  if (phases.length > 1 && phases.at(-1)!.length === 0) phases.pop();
  return phases;
}

async function concatenate(paths: string[], target: string): Promise<void> {
  await using file = await WholeFile.create(target);
  for (const path of paths) {
    using part = await Deno.open(path);
    for await (const chunk of part.readable) await file.append(chunk);
  }
  await file.finish();
}
