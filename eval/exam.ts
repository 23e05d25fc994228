import { didYouMean } from "../kernels/runtime/did-you-mean.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { benchmarkNamed } from "./benchmarks/benchmarks.ts";
import { type BenchmarkFiles, openBenchmarkFiles } from "./benchmarks/benchmark-files.ts";
import type { Split } from "../model/host/evaluation-results.ts";
import type { Benchmark, Question } from "./benchmarks/benchmark.ts";
import { type OnProblem, readQuestions, stopAtProblem } from "./benchmarks/read-questions.ts";
import type { PromptFormat } from "./protocols/protocol.ts";
import { protocolNamed } from "./protocols/protocols.ts";

/** Which questions are asked, and how. */
export interface ExamSettings {
  /** Key of a benchmark: `ceval`, `cmmlu`, `mmlu` or `exam`. */
  benchmark: string;
  /** Name of a protocol: `official`, `harness`, `steel-base`, `steel-chat` or `sft`. */
  protocol: string;
  /** The folder or archive with the benchmark's files. */
  data: string;
  /** The split to ask; by default the one that published scores are of. */
  split?: Split;
  /** Number of examples before each question; by default the protocol's. */
  shots?: number;
  /** Handles of the subjects to ask; all by default. */
  subjects?: string[];
  /** The most questions to ask, taken from all categories and their subjects in turn. */
  limit?: number;
  /** Whether the model reasons step by step, where the protocol has such a prompt. */
  chainOfThought?: boolean;
  /** Whether missing subjects, broken files and bad rows are left out instead of stopping. */
  keepGoing?: boolean;
}

/** The questions and examples that settings choose. */
export interface Exam {
  /** The benchmark that the questions are from. */
  benchmark: Benchmark;
  /** How they are asked. */
  format: PromptFormat;
  /** The split that they are from. */
  split: Split;
  /** Number of examples before each question. */
  shots: number;
  /** The questions, in the benchmark's order. */
  questions: Question[];
  /** The examples of every subject by its handle, in order. */
  examples: Map<string, Question[]>;
  /** What was left out, and why. */
  problems: string[];
}

/**
 * Reads what settings choose.
 *
 * @throws {UserError} for settings and files that do not fit together
 */
export async function readExam(settings: ExamSettings): Promise<Exam> {
  const files = await openBenchmarkFiles(settings.data);
  const benchmark = await benchmarkNamed(settings.benchmark, files);
  const format = protocolNamed(settings.protocol)(benchmark, settings.chainOfThought ?? false);
  const split = settings.split ?? benchmark.defaultSplit;
  const shots = settings.shots ?? format.shots.standard;
  checkShots(shots, split, format, settings.protocol);
  const problems: string[] = [];
  const onProblem: OnProblem = settings.keepGoing
    ? (problem) => void problems.push(problem.message)
    : stopAtProblem;
  const handles = chooseSubjects(benchmark, settings.subjects);
  const bySubject = await readQuestions(benchmark, files, split, handles, onProblem);
  const examples = shots === 0
    ? new Map<string, Question[]>()
    : await readShots(benchmark, files, [...bySubject.keys()], shots, onProblem);
  const turns = spreadOverCategories(benchmark, handles).map((handle) =>
    bySubject.get(handle) ?? []
  );
  const chosen = new Set(inTurn(turns).slice(0, settings.limit));
  const questions = [...bySubject.values()].flat().filter((question) => chosen.has(question));
  if (questions.length === 0) {
    throw new UserError(
      [`${files.where}: there is no question in ${split} to ask`, ...problems].join("; "),
    );
  }
  return { benchmark, format, split, shots, questions, examples, problems };
}

function checkShots(shots: number, split: Split, format: PromptFormat, protocol: string): void {
  if (shots > format.shots.most) {
    throw new UserError(
      `--shots=${shots}: ${protocol} takes at most ${format.shots.most} here (${format.source})`,
    );
  }
  if (split === "dev" && shots > 0) {
    throw new UserError(
      "--split=dev: the examples before the questions would be these questions and their answers; " +
        "give --shots=0",
    );
  }
}

function chooseSubjects(benchmark: Benchmark, wanted: string[] | undefined): string[] {
  const known = benchmark.subjects.map(({ handle }) => handle);
  for (const subject of wanted ?? []) {
    if (!known.includes(subject)) {
      throw new UserError(
        `--subjects: ${benchmark.title} has no subject ${JSON.stringify(subject)}` +
          `${didYouMean(subject, known)} It has ${known.join(", ")}`,
      );
    }
  }
  return known.filter((handle) => wanted?.includes(handle) ?? true);
}

async function readShots(
  benchmark: Benchmark,
  files: BenchmarkFiles,
  subjects: string[],
  shots: number,
  onProblem: OnProblem,
): Promise<Map<string, Question[]>> {
  const dev = await readQuestions(benchmark, files, "dev", subjects, onProblem);
  for (const [subject, examples] of dev) {
    if (examples.length < shots) {
      onProblem(
        new UserError(
          `${files.where}: ${benchmark.file("dev", subject)} has ${examples.length} of the ` +
            `${shots} examples asked for; give --shots=${examples.length}`,
        ),
      );
    }
    dev.set(subject, examples.slice(0, shots));
  }
  return dev;
}

/** Subjects in an order of which every beginning has about as many of each category. */
function spreadOverCategories({ categoryMaps }: Benchmark, handles: string[]): string[] {
  const categories = Object.values(categoryMaps.at(0)?.categories ?? {});
  const ofCategories = inTurn(categories.map((each) => each.filter((s) => handles.includes(s))));
  return [...new Set([...ofCategories, ...handles])];
}

/** The first of every list, then the second of every list, and so on. */
function inTurn<T>(lists: T[][]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1)))
    .flat();
}
