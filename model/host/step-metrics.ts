import { readIfThereSync } from "../../data/files/text-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** What was measured at a training step; one line of a run's `metrics.jsonl`. */
export interface StepMetrics {
  /** Optimizer steps done, counted from 1. */
  step: number;
  /** Loss, learning rate, speed and what else was measured, by name. */
  [name: string]: number;
}

/** A line of the file. */
interface Line {
  readonly metrics: StepMetrics;
  /** Bytes of the file to the end of this line. */
  readonly end: number;
}

/**
 * All measurements of a run's file, in order; none if there is no file. A value that is not a number,
 * such as a loss that overflowed, is left out of its step.
 *
 * @throws UserError if the file cannot be read, or naming the line if it holds anything else
 */
export function readMetrics(path: string): StepMetrics[] {
  return readMetricLines(path).map(({ metrics }) => metrics);
}

/** The same with the end of each line. An incomplete last line, which may be being written, is left out. */
export function readMetricLines(path: string): Line[] {
  let end = 0;
  return (readIfThereSync(path) ?? "").split("\n").slice(0, -1).map((line, index) => {
    end += new TextEncoder().encode(line).length + 1;
    return { metrics: parseLine(line, `${path}:${index + 1}`), end };
  });
}

function parseLine(line: string, where: string): StepMetrics {
  try {
    const metrics: Record<string, unknown> = JSON.parse(line);
    if (Number.isInteger(metrics.step)) {
      const numbers = Object.entries(metrics).filter(([, value]) => typeof value === "number");
      return Object.fromEntries(numbers) as StepMetrics;
    }
  } catch {
    // refused below
  }
  throw new UserError(`${where}: not a measurement of this program; move the file elsewhere`);
}
