import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Benchmark } from "./benchmark.ts";
import { type BenchmarkFiles, findPath } from "./benchmark-files.ts";
import { ceval, cevalWithSubjects } from "./ceval.ts";
import { cmmlu } from "./cmmlu.ts";
import { mmlu } from "./mmlu.ts";

const PUBLISHED: Record<string, Benchmark> = { ceval, cmmlu, mmlu };

/**
 * Names of what can be evaluated: published benchmarks, and `exam`, your own in C-Eval's layout.
 */
export const BENCHMARK_NAMES: readonly string[] = [...Object.keys(PUBLISHED), "exam"];

/** The folder in which `deno task eval demo` keeps its exam. */
export const DEMO_DATA = "cache/demo";

const MAPPING_FILE = "subject_mapping.json";

/** Whether a name is that of a published benchmark. */
export function isPublished(name: string): boolean {
  return Object.hasOwn(PUBLISHED, name);
}

/** The published benchmark of that name. @throws {UserError} for any other name */
export function publishedBenchmark(name: string): Benchmark {
  if (isPublished(name)) return PUBLISHED[name];
  throw new UserError(
    `${name} is not a published benchmark; expected ${Object.keys(PUBLISHED).join(", ")}`,
  );
}

/**
 * The benchmark of that name; the subjects of an `exam` are read from its files.
 *
 * @throws {UserError} for an unknown name, or an exam without a list of subjects
 */
export async function benchmarkNamed(name: string, files: BenchmarkFiles): Promise<Benchmark> {
  if (isPublished(name)) return PUBLISHED[name];
  if (name !== "exam") {
    throw new UserError(`there is no benchmark ${name}; expected ${BENCHMARK_NAMES.join(", ")}`);
  }
  const path = findPath(files, MAPPING_FILE);
  if (path === undefined) {
    throw new UserError(
      `${files.where}: there is no ${MAPPING_FILE}; an exam lists its subjects in it, as ` +
        `{"handle": ["English name", "name in prompts", "category"]}`,
    );
  }
  return cevalWithSubjects("Exam", await files.read(path), `${files.where}/${path}`);
}
