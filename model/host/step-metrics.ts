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
 * such as a loss that overflowed, is left out of its step. A line that is broken is left out, and an
 * incomplete last line, which may be being written.
 *
 * @param say called with a line of text if lines are broken
 * @throws UserError if the file cannot be read, or if nothing in it is a measurement
 */
export function readMetrics(path: string, say?: (text: string) => void): StepMetrics[] {
  return readMetricLines(path, say).map(({ metrics }) => metrics);
}

/** The same with the end of each line. */
export function readMetricLines(path: string, say: (text: string) => void = () => {}): Line[] {
  let end = 0;
  const lines: Line[] = [];
  const broken: number[] = [];
  for (const [index, line] of (readIfThereSync(path) ?? "").split("\n").slice(0, -1).entries()) {
    end += new TextEncoder().encode(line).length + 1;
    const metrics = parseLine(line);
    if (metrics) lines.push({ metrics, end });
    else broken.push(index + 1);
  }
  if (broken.length === 0) return lines;
  if (lines.length === 0) {
    throw new UserError(
      `${path}:1: not a measurement of this program, nor is any other line; move the file elsewhere`,
    );
  }
  const others = broken.length > 1 ? `, as are ${broken.length - 1} other lines` : "";
  say(`${path}:${broken[0]}: not a measurement of this program; the line is left out${others}`);
  return lines;
}

function parseLine(line: string): StepMetrics | undefined {
  try {
    const metrics: Record<string, unknown> = JSON.parse(line);
    if (!Number.isInteger(metrics.step)) return undefined;
    const numbers = Object.entries(metrics).filter(([, value]) => typeof value === "number");
    return Object.fromEntries(numbers) as StepMetrics;
  } catch {
    return undefined;
  }
}
