import type {
  Accuracy,
  GroupScore,
  Scores,
  SubjectScore,
} from "../model/host/evaluation-results.ts";
import type { Benchmark, Letter } from "./benchmarks/benchmark.ts";

/** The outcome of a question, as far as scores need it. */
export interface Outcome {
  /** Handle of the question's subject. */
  subject: string;
  /** The right letter; absent where it is not published. */
  answer?: Letter;
  /** The model's letter; absent where its answer has none. */
  prediction?: Letter;
}

/**
 * Scores the outcomes of a benchmark whose right answer is known: by subject, by category and
 * overall.
 *
 * @returns undefined when no right answer is known
 */
export function score(benchmark: Benchmark, outcomes: Iterable<Outcome>): Scores | undefined {
  const bySubject = new Map<string, SubjectScore>();
  for (const { subject, answer, prediction } of outcomes) {
    if (answer === undefined) continue;
    const soFar = bySubject.get(subject) ?? { subject, questions: 0, correct: 0 };
    soFar.questions++;
    if (prediction === answer) soFar.correct++;
    bySubject.set(subject, soFar);
  }
  if (bySubject.size === 0) return undefined;

  const of = (handles: string[]) => handles.flatMap((handle) => bySubject.get(handle) ?? []);
  const subjects = of(benchmark.subjects.map(({ handle }) => handle));
  return {
    overall: groupScore(benchmark.title, subjects),
    maps: benchmark.categoryMaps.map(({ name, categories }) => ({
      name,
      categories: Object.entries(categories)
        .map(([category, handles]) => groupScore(category, of(handles)))
        .filter(({ subjects }) => subjects > 0),
    })),
    subjects,
  };
}

/** The accuracy of one subject. */
export function subjectAccuracy({ questions, correct }: SubjectScore): Accuracy {
  const accuracy = correct / questions;
  if (questions === 1) return { accuracy };
  // Standard deviation of the sample over the root of its size, as lm-evaluation-harness has it.
  return { accuracy, standardError: Math.sqrt(accuracy * (1 - accuracy) / (questions - 1)) };
}

function groupScore(name: string, subjects: SubjectScore[]): GroupScore {
  const total = (of: (score: SubjectScore) => number) =>
    subjects.reduce((sum, subject) => sum + of(subject), 0);
  const questions = total((subject) => subject.questions);
  const correct = total((subject) => subject.correct);
  return {
    name,
    subjects: subjects.length,
    questions,
    macro: meanAccuracy(subjects.map(subjectAccuracy)),
    micro: subjectAccuracy({ subject: name, questions, correct }),
  };
}

/** Mean of independent accuracies; their variances add. */
function meanAccuracy(parts: Accuracy[]): Accuracy {
  const accuracy = parts.reduce((sum, part) => sum + part.accuracy, 0) / parts.length;
  const errors = parts.flatMap(({ standardError }) => standardError ?? []);
  if (errors.length < parts.length) return { accuracy };
  return { accuracy, standardError: Math.hypot(...errors) / parts.length };
}
