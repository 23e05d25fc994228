import { UserError } from "../../kernels/runtime/user-error.ts";
import { QuestionFinder, questionTexts } from "./benchmark-questions.ts";
import { defineOperator, type Filter } from "./operator.ts";

/**
 * Drops texts that hold a question of a benchmark, and lists them: a model that has learned the
 * questions cannot be measured by them. Not one of Data-Juicer's operators.
 */
export const benchmarkQuestionsFilter = defineOperator(
  "benchmark_questions_filter",
  { benchmarks: [], max_num: 0 },
  ({ benchmarks, max_num: max }): Filter => {
    const folders = [benchmarks].flat();
    if (folders.length === 0) {
      throw new UserError(
        "benchmark_questions_filter.benchmarks is empty: give benchmarks' folders",
      );
    }
    const finder = new QuestionFinder(questionTexts(folders));
    return {
      kind: "filter",
      statistic: "num_benchmark_questions",
      min: 0,
      max,
      measure: (text) => finder.find(text).length,
      explain: (text) => `it holds the question "${finder.find(text)[0]}"`,
    };
  },
);
